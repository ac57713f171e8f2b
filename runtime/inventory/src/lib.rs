//! In place of the crate of this name under tract: registries that stay empty.
//!
//! tract's crates list their matrix kernels, transforms of models, runtimes and settings for programs that look one up
//! while they run. The crate does it with a constructor for each entry, run before `main`. A linker has to keep those, and
//! with them all that they lead to: every operator of tract and of NNEF, and the Fourier transforms, half of `igpt-cam`.
//! Here only our own operators run and nothing is looked up; without the entries the linker drops what nothing else names.
//! docs/building.md has the sizes. The interface is the part of version 0.3 that tract uses.
#![no_std]

use core::iter::Empty;
use core::ops::Deref;

/// A type that has a registry: [`collect!`] makes it one.
pub trait Collect: Sync + Sized + 'static {}

/// Gives a type its registry, which stays empty.
#[macro_export]
macro_rules! collect {
    ($entry:ty) => {
        impl $crate::Collect for $entry {}
    };
}

/// Would enter a value into its type's registry; here it is not even compiled.
#[macro_export]
macro_rules! submit {
    ($($value:tt)*) => {};
}

mod entries {
    use core::convert::Infallible;
    use core::marker::PhantomData;

    /// The entries of a registry: none. `iter::<T>` is a value, and can be called for an iterator as well.
    #[expect(
        non_camel_case_types,
        reason = "it is used like a function, and so is its only value"
    )]
    #[derive(Debug)]
    pub enum iter<T> {
        /// The value of the same name.
        iter,
        /// Names `T`, and cannot be made.
        Never(Infallible, PhantomData<fn() -> T>),
    }
}
// The type, and by the star its value of the same name.
pub use entries::iter;
pub use entries::iter::*;

impl<T: Collect> IntoIterator for iter<T> {
    type Item = &'static T;
    type IntoIter = Empty<&'static T>;

    fn into_iter(self) -> Self::IntoIter {
        core::iter::empty()
    }
}

impl<T: Collect> Deref for iter<T> {
    type Target = fn() -> Empty<&'static T>;

    fn deref(&self) -> &Self::Target {
        &(core::iter::empty as fn() -> Empty<&'static T>)
    }
}

#[cfg(test)]
mod tests {
    struct Entry;
    crate::collect!(Entry);
    crate::submit! { Entry }

    #[test]
    fn every_way_to_read_a_registry_finds_nothing() {
        assert_eq!(crate::iter::<Entry>().count(), 0);
        assert_eq!(crate::iter::<Entry>.into_iter().count(), 0);
    }
}
