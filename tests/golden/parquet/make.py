"""Writes the Parquet files of this folder: what the `datasets` library makes of a few rows.

python3 make.py  (pyarrow 26 wrote the files that are kept)
"""
import pyarrow as pa
import pyarrow.parquet as pq

message = pa.struct([("role", pa.string()), ("content", pa.string())])
conversations = pa.table(
    {
        "messages": pa.array(
            [
                [{"role": "user", "content": "Où est le phare ?"}, {"role": "assistant", "content": "Au nord."}],
                [{"role": "user", "content": "And the mill?"}, {"role": "assistant", "content": "By the river."}],
                None,
            ],
            pa.list_(message),
        ),
        "id": pa.array(["a", "b", "c"]),
        "score": pa.array([0.5, None, 2.0]),
    }
)
pq.write_table(conversations.slice(0, 2), "conversations.parquet", compression="snappy")
pq.write_table(conversations, "with_null.parquet", compression="gzip")
ranked = pa.table(
    {
        "instruction": ["Name a colour.", "Name a bird."],
        "answers": pa.array([["Red.", "Blue.", "Soup."], ["Owl.", "Rook."]], pa.list_(pa.string())),
        "ranking": pa.array([[0, 0, 2], [1, 0]], pa.list_(pa.int64())),
    }
)
# Two row groups, dictionary and plain encoding.
pq.write_table(ranked, "ranked.parquet", compression="none", row_group_size=1)
pq.write_table(ranked, "zstd.parquet", compression="zstd")
