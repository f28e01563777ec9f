//! What is known of something, or not yet, for many threads to read at no cost.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicU8, Ordering};

use anypod_proto::version::Era;

use super::dial::Protocol;

/// A value that may not be known yet.
#[derive(Debug)]
pub(super) struct Cell<T>(AtomicU8, PhantomData<T>);

/// A value with a number. 0 is nobody's.
pub(super) trait Numbered: Copy {
    /// Its number.
    fn number(self) -> u8;
    /// The value of that number.
    fn of(number: u8) -> Option<Self>;
}

impl<T: Numbered> Cell<T> {
    pub(super) fn new(value: Option<T>) -> Self {
        Self(AtomicU8::new(value.map_or(0, T::number)), PhantomData)
    }

    pub(super) fn load(&self) -> Option<T> {
        T::of(self.0.load(Ordering::Relaxed))
    }

    /// Puts a value in, and tells what was there.
    pub(super) fn store(&self, value: T) -> Option<T> {
        let number = value.number();
        // Mostly it is there already: then nothing is written that other threads would have to hear of.
        match self.0.load(Ordering::Relaxed) {
            known if known == number => Some(value),
            _ => T::of(self.0.swap(number, Ordering::Relaxed)),
        }
    }
}

impl Numbered for Era {
    fn number(self) -> u8 {
        match self {
            Self::Modern => 1,
            Self::Legacy => 2,
        }
    }

    fn of(number: u8) -> Option<Self> {
        [Self::Modern, Self::Legacy].into_iter().find(|era| era.number() == number)
    }
}

impl Numbered for Protocol {
    fn number(self) -> u8 {
        match self {
            Self::Http1 => 1,
            Self::Http2 => 2,
        }
    }

    fn of(number: u8) -> Option<Self> {
        [Self::Http1, Self::Http2].into_iter().find(|protocol| protocol.number() == number)
    }
}
