//! Functions compiled once for each instruction set, and the choice among them when they run.

/// Compiles a function for AVX-512, AVX2, NEON and the portable baseline; a call runs the best that the machine has.
///
/// Tests can ask for the lesser ones by [`tests::with`].
macro_rules! for_every_instruction_set {
    (
        $(#[$doc:meta])*
        $vis:vis fn $name:ident $(<$life:lifetime>)? ($($arg:ident: $type:ty),* $(,)?) $body:block
    ) => {
        $(#[$doc])*
        $vis fn $name $(<$life>)? ($($arg: $type),*) {
            #[inline(always)]
            fn portable $(<$life>)? ($($arg: $type),*) $body

            #[multiversion::multiversion(targets(
                "x86_64+avx512f+avx512dq+avx512vl", "x86_64+avx2+fma", "aarch64+neon"
            ))]
            fn best $(<$life>)? ($($arg: $type),*) {
                portable($($arg),*);
            }

            #[cfg(test)]
            {
                #[multiversion::multiversion(targets("x86_64+avx2+fma"))]
                fn at_most_avx2 $(<$life>)? ($($arg: $type),*) {
                    portable($($arg),*);
                }

                match $crate::flex::dispatch::tests::limit() {
                    Some($crate::flex::dispatch::tests::Limit::Portable) => return portable($($arg),*),
                    Some($crate::flex::dispatch::tests::Limit::Avx2) => return at_most_avx2($($arg),*),
                    None => {}
                }
            }
            best($($arg),*);
        }
    };
}

pub(super) use for_every_instruction_set;

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::{
        Mutex, PoisonError,
        atomic::{AtomicU8, Ordering},
    };

    /// The most that a function may be compiled for.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) enum Limit {
        /// The instructions that every machine of the architecture has.
        Portable = 1,
        /// AVX2 where the machine has it.
        Avx2 = 2,
    }

    static LIMIT: AtomicU8 = AtomicU8::new(0);
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

    pub(crate) fn limit() -> Option<Limit> {
        [Limit::Portable, Limit::Avx2]
            .into_iter()
            .find(|&limit| limit as u8 == LIMIT.load(Ordering::Relaxed))
    }

    /// Runs `work`, on all threads that take part, under a limit. Tests beside it run under it too, with the same results.
    pub(crate) fn with<T>(limit: Option<Limit>, work: impl FnOnce() -> T) -> T {
        let alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        LIMIT.store(limit.map_or(0, |limit| limit as u8), Ordering::Relaxed);
        let result = work();
        LIMIT.store(0, Ordering::Relaxed);
        drop(alone);
        result
    }
}
