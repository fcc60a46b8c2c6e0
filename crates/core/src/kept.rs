//! What is kept as JSON, field by field through tables of references.
//!
//! Derived readers and writers are made anew for each type; of what browsers download, those of the state that a snapshot
//! holds were a tenth. Here one reader and one writer serve all of it.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use serde_json::{Map, Value};

use crate::engine::LabelId;

/// What can be kept.
pub(crate) trait Kept {
    /// As JSON.
    fn store(&self) -> Value;

    /// Takes over what was kept.
    fn load(&mut self, value: &Value) -> Result<(), Unfit>;

    /// It says nothing beyond what a fresh one says.
    fn is_blank(&self) -> bool;
}

/// A value that is none of what was kept: the innermost field that it is in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unfit(Option<&'static str>);

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(field) => write!(f, "\"{field}\" holds something else"),
            None => f.write_str("it holds something else"),
        }
    }
}

/// The fields of a record: those that are always written, and those that are where they say something.
pub(crate) fn store(always: &[(&'static str, &dyn Kept)], sparse: &[(&'static str, &dyn Kept)]) -> Value {
    let sparse = sparse.iter().filter(|(_, field)| !field.is_blank());
    let mut object = Map::new();
    for (name, field) in always.iter().chain(sparse) {
        object.insert((*name).to_string(), field.store());
    }
    Value::Object(object)
}

/// Loads the fields of a record; a field that is absent stays as it is. Any other field is a fault of a `closed` one.
pub(crate) fn load(value: &Value, closed: bool, fields: &mut [(&'static str, &mut dyn Kept)]) -> Result<(), Unfit> {
    let object = value.as_object().ok_or_else(Unfit::default)?;
    let mut found = 0;
    for (name, field) in fields {
        if let Some(value) = object.get(*name) {
            field.load(value).map_err(|unfit| Unfit(unfit.0.or(Some(name))))?;
            found += 1;
        }
    }
    if closed && found < object.len() { Err(Unfit::default()) } else { Ok(()) }
}

/// Makes a struct of [`Kept`] fields one itself, and gives it to serde. `sparse` fields are written where they say
/// something.
macro_rules! record {
    ($type:ty, closed: $closed:literal, always: [$($always:ident),*], sparse: [$($sparse:ident),*]) => {
        impl $crate::kept::Kept for $type {
            fn store(&self) -> serde_json::Value {
                $crate::kept::store(
                    &[$((stringify!($always), &self.$always as &dyn $crate::kept::Kept)),*],
                    &[$((stringify!($sparse), &self.$sparse as &dyn $crate::kept::Kept)),*],
                )
            }

            fn load(&mut self, value: &serde_json::Value) -> Result<(), $crate::kept::Unfit> {
                $crate::kept::load(value, $closed, &mut [
                    $((stringify!($always), &mut self.$always as &mut dyn $crate::kept::Kept),)*
                    $((stringify!($sparse), &mut self.$sparse as &mut dyn $crate::kept::Kept),)*
                ])
            }

            fn is_blank(&self) -> bool {
                let fields: &[&dyn $crate::kept::Kept] = &[$(&self.$always,)* $(&self.$sparse,)*];
                fields.iter().all(|field| field.is_blank())
            }
        }

        $crate::kept::serde!($type);
    };
}

/// Gives what is [`Kept`] to serde.
macro_rules! serde {
    ($type:ty) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $crate::kept::Kept::store(self).serialize(serializer)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let mut kept = Self::default();
                let value = serde_json::Value::deserialize(deserializer)?;
                $crate::kept::Kept::load(&mut kept, &value).map_err(serde::de::Error::custom)?;
                Ok(kept)
            }
        }
    };
}

pub(crate) use {record, serde};

macro_rules! whole {
    ($($type:ty)+) => {$(
        impl Kept for $type {
            fn store(&self) -> Value {
                Value::from(*self)
            }

            fn load(&mut self, value: &Value) -> Result<(), Unfit> {
                *self = value.as_u64().and_then(|value| Self::try_from(value).ok()).ok_or_else(Unfit::default)?;
                Ok(())
            }

            fn is_blank(&self) -> bool {
                *self == 0
            }
        }
    )+};
}

whole!(u16 u32 u64);

impl Kept for i64 {
    fn store(&self) -> Value {
        Value::from(*self)
    }

    fn load(&mut self, value: &Value) -> Result<(), Unfit> {
        *self = value.as_i64().ok_or_else(Unfit::default)?;
        Ok(())
    }

    fn is_blank(&self) -> bool {
        *self == 0
    }
}

impl Kept for String {
    fn store(&self) -> Value {
        Value::from(self.as_str())
    }

    fn load(&mut self, value: &Value) -> Result<(), Unfit> {
        *self = value.as_str().ok_or_else(Unfit::default)?.to_string();
        Ok(())
    }

    fn is_blank(&self) -> bool {
        self.is_empty()
    }
}

impl<T: Kept + Default> Kept for Option<T> {
    fn store(&self) -> Value {
        self.as_ref().map_or(Value::Null, Kept::store)
    }

    fn load(&mut self, value: &Value) -> Result<(), Unfit> {
        *self = None;
        if value.is_null() { Ok(()) } else { self.get_or_insert_default().load(value) }
    }

    fn is_blank(&self) -> bool {
        self.is_none()
    }
}

impl<T: Kept + Default> Kept for Vec<T> {
    fn store(&self) -> Value {
        Value::Array(self.iter().map(Kept::store).collect())
    }

    fn load(&mut self, value: &Value) -> Result<(), Unfit> {
        self.clear();
        for value in value.as_array().ok_or_else(Unfit::default)? {
            let mut item = T::default();
            item.load(value)?;
            self.push(item);
        }
        Ok(())
    }

    fn is_blank(&self) -> bool {
        self.is_empty()
    }
}

fn load_all(value: &Value, parts: &mut [&mut dyn Kept]) -> Result<(), Unfit> {
    let values = value.as_array().filter(|values| values.len() == parts.len()).ok_or_else(Unfit::default)?;
    parts.iter_mut().zip(values).try_for_each(|(part, value)| part.load(value))
}

impl<A: Kept, B: Kept> Kept for (A, B) {
    fn store(&self) -> Value {
        Value::Array([self.0.store(), self.1.store()].into())
    }

    fn load(&mut self, value: &Value) -> Result<(), Unfit> {
        load_all(value, &mut [&mut self.0, &mut self.1])
    }

    fn is_blank(&self) -> bool {
        self.0.is_blank() && self.1.is_blank()
    }
}

impl<A: Kept, B: Kept, C: Kept> Kept for (A, B, C) {
    fn store(&self) -> Value {
        Value::Array([self.0.store(), self.1.store(), self.2.store()].into())
    }

    fn load(&mut self, value: &Value) -> Result<(), Unfit> {
        load_all(value, &mut [&mut self.0, &mut self.1, &mut self.2])
    }

    fn is_blank(&self) -> bool {
        self.0.is_blank() && self.1.is_blank() && self.2.is_blank()
    }
}

impl Kept for LabelId {
    fn store(&self) -> Value {
        self.0.store()
    }

    fn load(&mut self, value: &Value) -> Result<(), Unfit> {
        self.0.load(value)
    }

    fn is_blank(&self) -> bool {
        self.0.is_blank()
    }
}

/// Things by their names, in the order of these.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Named<T>(Vec<(String, T)>);

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Named<T> {
    fn place(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| known.as_str().cmp(name))
    }

    /// Adds a thing, or replaces the one of that name. Quick where names come in their order.
    pub(crate) fn insert(&mut self, name: &str, thing: T) {
        match self.place(name) {
            Ok(place) => self.0[place].1 = thing,
            Err(place) => self.0.insert(place, (name.to_string(), thing)),
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&T> {
        self.place(name).ok().map(|place| &self.0[place].1)
    }
}

impl<T: Kept + Default> Kept for Named<T> {
    fn store(&self) -> Value {
        let mut object = Map::new();
        for (name, thing) in &self.0 {
            object.insert(name.clone(), thing.store());
        }
        Value::Object(object)
    }

    fn load(&mut self, value: &Value) -> Result<(), Unfit> {
        self.0.clear();
        for (name, value) in value.as_object().ok_or_else(Unfit::default)? {
            let mut thing = T::default();
            thing.load(value)?;
            self.insert(name, thing);
        }
        Ok(())
    }

    fn is_blank(&self) -> bool {
        self.0.is_empty()
    }
}
