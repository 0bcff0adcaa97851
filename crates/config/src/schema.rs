//! Reading the JSON Schema of a configuration: which keys there are, what they hold, what their docs say.

use schemars::JsonSchema;
use serde_json::Value;

/// The schema of a whole configuration.
pub(super) struct Schema(Value);

impl Schema {
    pub(super) fn of<T: JsonSchema>() -> Self {
        Self(schemars::schema_for!(T).to_value())
    }

    pub(super) fn root(&self) -> Node<'_> {
        Node::new(&self.0, &self.0)
    }
}

/// A schema at one place: its own keywords, then those of what it refers to.
#[derive(Clone)]
pub(super) struct Node<'a> {
    root: &'a Value,
    parts: Vec<&'a Value>,
}

/// Kind of value that a place may hold.
pub(super) enum Kind<'a> {
    /// A table of known keys.
    Table,
    /// A table with keys of the user's choice.
    Map(Node<'a>),
    /// A table whose `tag` key decides which others there are.
    Tagged(&'a str),
    /// One of some strings.
    Choice(Vec<&'a str>),
    List(Node<'a>),
    Integer {
        least: Option<i64>,
        most: Option<u64>,
    },
    Number,
    Text,
    Boolean,
    /// Something only deserialisation can judge.
    Other,
}

impl<'a> Node<'a> {
    fn new(root: &'a Value, schema: &'a Value) -> Self {
        let mut parts = Vec::new();
        collect(root, schema, &mut parts);
        Self { root, parts }
    }

    fn keyword(&self, name: &str) -> Option<&'a Value> {
        self.parts.iter().find_map(|part| part.get(name))
    }

    /// The keys of a table, in the order of their declaration.
    pub(super) fn properties(&self) -> Vec<(&'a str, Self)> {
        let tables = self.parts.iter().filter_map(|part| part.get("properties")?.as_object());
        tables
            .flatten()
            .map(|(key, schema)| (key.as_str(), Self::new(self.root, schema)))
            .collect()
    }

    /// The forms a value may take, where there are several.
    pub(super) fn variants(&self) -> Vec<Self> {
        let lists = ["oneOf", "anyOf"]
            .into_iter()
            .flat_map(|keyword| self.parts.iter().map(move |p| p.get(keyword)));
        let real = |list: &'a Value| Some(list.as_array()?.iter().filter(|form| form["type"] != "null"));
        // A single form is an `Option`; its content is among the parts already.
        let forms = lists
            .flatten()
            .filter_map(real)
            .map(Iterator::collect::<Vec<_>>)
            .find(|forms| forms.len() > 1);
        forms
            .into_iter()
            .flatten()
            .map(|schema| Self::new(self.root, schema))
            .collect()
    }

    /// The string that this place always holds.
    pub(super) fn constant(&self) -> Option<&'a str> {
        self.keyword("const")?.as_str()
    }

    /// The keys of a table of which `value` is the content: those of all tables, and those of the form `tag` chooses.
    pub(super) fn properties_for(&self, value: &toml::Table) -> Vec<(&'a str, Self)> {
        let mut properties = self.properties();
        if let Some(variant) = self.variant_for(value) {
            properties.extend(variant.properties());
        }
        properties
    }

    /// The form that the tag in `value` chooses.
    pub(super) fn variant_for(&self, value: &toml::Table) -> Option<Self> {
        let Kind::Tagged(tag) = self.kind() else { return None };
        let chosen = value.get(tag)?.as_str()?;
        self.variants()
            .into_iter()
            .find(|variant| variant.tag_value(tag) == Some(chosen))
    }

    /// Value of the tag in a form of a tagged table.
    pub(super) fn tag_value(&self, tag: &str) -> Option<&'a str> {
        self.properties().into_iter().find(|(key, _)| *key == tag)?.1.constant()
    }

    /// The key of that name here or in any form.
    pub(super) fn property(&self, key: &str) -> Option<Self> {
        let variants = self.variants();
        let all = self
            .properties()
            .into_iter()
            .chain(variants.iter().flat_map(Self::properties));
        all.into_iter().find(|(name, _)| *name == key).map(|(_, node)| node)
    }

    /// Keys that must be given.
    pub(super) fn required(&self) -> impl Iterator<Item = &'a str> {
        let lists = self.parts.iter().filter_map(|part| part.get("required")?.as_array());
        lists.flatten().filter_map(Value::as_str)
    }

    pub(super) fn kind(&self) -> Kind<'a> {
        let variants = self.variants();
        if !variants.is_empty() {
            return kind_of_variants(&variants);
        }
        if let Some(list) = self.keyword("enum").and_then(Value::as_array) {
            return Kind::Choice(list.iter().filter_map(Value::as_str).collect());
        }
        match self.type_name() {
            Some("object") => match self.keyword("additionalProperties") {
                Some(schema) if schema.is_object() => Kind::Map(Self::new(self.root, schema)),
                _ if self.properties().is_empty() && self.keyword("properties").is_none() => Kind::Other,
                _ => Kind::Table,
            },
            Some("array") => self
                .keyword("items")
                .map_or(Kind::Other, |items| Kind::List(Self::new(self.root, items))),
            Some("integer") => Kind::Integer {
                least: self.keyword("minimum").and_then(Value::as_i64),
                most: self.keyword("maximum").and_then(Value::as_u64),
            },
            Some("number") => Kind::Number,
            Some("string") => self.constant().map_or(Kind::Text, |only| Kind::Choice(vec![only])),
            Some("boolean") => Kind::Boolean,
            _ => Kind::Other,
        }
    }

    /// `type`, without the `null` of an `Option`.
    fn type_name(&self) -> Option<&'a str> {
        match self.keyword("type")? {
            Value::String(name) => Some(name),
            Value::Array(names) => names.iter().filter_map(Value::as_str).find(|name| *name != "null"),
            _ => None,
        }
    }

    /// The first paragraph of the doc comment, on one line.
    pub(super) fn description(&self) -> Option<String> {
        let text = self.keyword("description")?.as_str()?;
        let paragraph = text.lines().map(str::trim).take_while(|line| !line.is_empty());
        Some(paragraph.collect::<Vec<_>>().join(" "))
    }

    /// The value that serde fills in, as far as the schema knows it.
    pub(super) fn default_value(&self) -> Option<&'a Value> {
        self.keyword("default").filter(|value| !value.is_null())
    }
}

fn collect<'a>(root: &'a Value, schema: &'a Value, parts: &mut Vec<&'a Value>) {
    parts.push(schema);
    let reference = schema
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|target| target.strip_prefix('#'));
    if let Some(target) = reference.and_then(|pointer| root.pointer(pointer)) {
        collect(root, target, parts);
    }
    for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
        collect(root, part, parts);
    }
    // An `Option` of a type of its own is "that type, or null".
    if let Some(forms) = schema.get("anyOf").and_then(Value::as_array) {
        let real: Vec<_> = forms.iter().filter(|form| form["type"] != "null").collect();
        if let [only] = real.as_slice() {
            collect(root, only, parts);
        }
    }
}

fn kind_of_variants<'a>(variants: &[Node<'a>]) -> Kind<'a> {
    let strings: Option<Vec<Vec<&str>>> = variants
        .iter()
        .map(|variant| match variant.kind() {
            Kind::Choice(choices) => Some(choices),
            _ => None,
        })
        .collect();
    if let Some(strings) = strings {
        return Kind::Choice(strings.concat());
    }
    let first = variants.first().map(Node::properties).unwrap_or_default();
    let tag = first
        .into_iter()
        .map(|(key, _)| key)
        .find(|key| variants.iter().all(|v| v.tag_value(key).is_some()));
    tag.map_or(Kind::Other, Kind::Tagged)
}
