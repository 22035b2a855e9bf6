//! How the types of event fields stand in JSON. Absent means unknown: empty lists, missing options
//! and false flags are not written.

use crate::json::{Object, ObjectWriter, Value};

/// A type that can be a field of an event.
pub trait Field: Sized {
    /// Writes the member `name`, or nothing where there is nothing to say.
    fn write(&self, name: &str, out: &mut ObjectWriter<'_>);
    /// Reads a member's value; None where it is of another type.
    fn read(value: &Value) -> Option<Self>;
    /// What an absent member stands for; None where it must be there.
    fn absent() -> Option<Self> {
        None
    }
}

/// Reads the member `name` of an event's object.
pub fn read<T: Field>(object: &Object, name: &str) -> Option<T> {
    match object.get(name) {
        Some(value) => T::read(value),
        None => T::absent(),
    }
}

impl Field for String {
    fn write(&self, name: &str, out: &mut ObjectWriter<'_>) {
        out.string(name, self);
    }

    fn read(value: &Value) -> Option<String> {
        value.as_str().map(str::to_owned)
    }
}

impl Field for u64 {
    fn write(&self, name: &str, out: &mut ObjectWriter<'_>) {
        out.int(name, *self);
    }

    fn read(value: &Value) -> Option<u64> {
        value.as_u64()
    }
}

impl Field for u32 {
    fn write(&self, name: &str, out: &mut ObjectWriter<'_>) {
        out.int(name, *self);
    }

    fn read(value: &Value) -> Option<u32> {
        value.as_u64().and_then(|n| u32::try_from(n).ok())
    }
}

impl Field for i32 {
    fn write(&self, name: &str, out: &mut ObjectWriter<'_>) {
        out.int(name, *self);
    }

    fn read(value: &Value) -> Option<i32> {
        value.as_i64().and_then(|n| i32::try_from(n).ok())
    }
}

impl Field for f64 {
    fn write(&self, name: &str, out: &mut ObjectWriter<'_>) {
        out.float(name, *self);
    }

    fn read(value: &Value) -> Option<f64> {
        value.as_f64()
    }
}

impl Field for bool {
    fn write(&self, name: &str, out: &mut ObjectWriter<'_>) {
        if *self {
            out.bool(name, true);
        }
    }

    fn read(value: &Value) -> Option<bool> {
        value.as_bool()
    }

    fn absent() -> Option<bool> {
        Some(false)
    }
}

/// A truth value that may be unknown is written either way.
impl Field for Option<bool> {
    fn write(&self, name: &str, out: &mut ObjectWriter<'_>) {
        if let Some(value) = self {
            out.bool(name, *value);
        }
    }

    fn read(value: &Value) -> Option<Option<bool>> {
        value.as_bool().map(Some)
    }

    fn absent() -> Option<Option<bool>> {
        Some(None)
    }
}

macro_rules! optional {
    ($($type:ty),*) => {$(
        impl Field for Option<$type> {
            fn write(&self, name: &str, out: &mut ObjectWriter<'_>) {
                if let Some(value) = self {
                    value.write(name, out);
                }
            }

            fn read(value: &Value) -> Option<Option<$type>> {
                <$type>::read(value).map(Some)
            }

            fn absent() -> Option<Option<$type>> {
                Some(None)
            }
        }
    )*};
}

use super::words::*;
optional!(
    String,
    u64,
    u32,
    i32,
    f64,
    Outcome,
    Trigger,
    StopReason,
    MessageForm,
    ThoughtForm,
    ToolCategory,
    Decision,
    Decider,
    ContextOp,
    Verdict,
    Basis,
    Priced,
    Role,
    Phase,
    FileOp
);

impl Field for Vec<String> {
    fn write(&self, name: &str, out: &mut ObjectWriter<'_>) {
        if !self.is_empty() {
            out.array(name, |a| self.iter().for_each(|item| a.string(item)));
        }
    }

    fn read(value: &Value) -> Option<Vec<String>> {
        value.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
    }

    fn absent() -> Option<Vec<String>> {
        Some(Vec::new())
    }
}

/// Any JSON; null is as good as absent.
impl Field for Value {
    fn write(&self, name: &str, out: &mut ObjectWriter<'_>) {
        if !self.is_null() {
            out.value(name, self);
        }
    }

    fn read(value: &Value) -> Option<Value> {
        Some(value.clone())
    }

    fn absent() -> Option<Value> {
        Some(Value::Null)
    }
}
