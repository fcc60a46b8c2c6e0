//! JSON values from Python's dictionaries and back.

use pyo3::exceptions::{PyRecursionError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyMapping, PyNone, PyString, PyTuple};
use serde_json::{Map, Number, Value};

/// Deeper nesting than this is taken for a structure that contains itself.
const DEEPEST: usize = 200;

/// A JSON value of what `json.dumps` would write, and of what is close to it: any mapping, any sequence.
///
/// Anything else is handed to `other`, which may know better.
pub(crate) fn from_py(object: &Bound<'_, PyAny>, other: fn(&Bound<'_, PyAny>) -> PyResult<Value>) -> PyResult<Value> {
    read(object, other, 0)
}

fn read(object: &Bound<'_, PyAny>, other: fn(&Bound<'_, PyAny>) -> PyResult<Value>, depth: usize) -> PyResult<Value> {
    if depth > DEEPEST {
        return Err(PyRecursionError::new_err("the document is nested too deeply"));
    }
    if let Ok(text) = object.cast::<PyString>() {
        return Ok(Value::String(text.to_string_lossy().into_owned()));
    }
    if let Ok(entries) = object.cast::<PyDict>() {
        let mut map = Map::new();
        // A copy, which nobody else can change while it is read.
        for (key, value) in entries.copy()?.iter() {
            map.insert(self::key(&key)?, read(&value, other, depth + 1)?);
        }
        return Ok(Value::Object(map));
    }
    if let Ok(items) = object.cast::<PyList>() {
        return items.iter().map(|item| read(&item, other, depth + 1)).collect::<PyResult<_>>().map(Value::Array);
    }
    if object.is_instance_of::<PyNone>() {
        return Ok(Value::Null);
    }
    if let Ok(flag) = object.cast::<PyBool>() {
        return Ok(Value::Bool(flag.is_true()));
    }
    if let Ok(number) = object.cast::<PyInt>() {
        return number_of(number);
    }
    if let Ok(number) = object.cast::<PyFloat>() {
        // JSON has no word for what is no number.
        return Ok(Number::from_f64(number.value()).map_or_else(|| Value::String(number.to_string()), Value::Number));
    }
    if let Ok(items) = object.cast::<PyTuple>() {
        return items.iter().map(|item| read(&item, other, depth + 1)).collect::<PyResult<_>>().map(Value::Array);
    }
    if let Ok(entries) = object.cast::<PyMapping>() {
        let mut map = Map::new();
        for entry in entries.items()?.iter() {
            let (key, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = entry.extract()?;
            map.insert(self::key(&key)?, read(&value, other, depth + 1)?);
        }
        return Ok(Value::Object(map));
    }
    other(object)
}

fn key(key: &Bound<'_, PyAny>) -> PyResult<String> {
    let text = key.cast::<PyString>().map_err(|_| PyTypeError::new_err(format!("a key must be a str, not {key:?}")))?;
    Ok(text.to_string_lossy().into_owned())
}

/// A whole number; one beyond 64 bits as the nearest float, which no field of ours takes for a whole number.
fn number_of(number: &Bound<'_, PyInt>) -> PyResult<Value> {
    if let Ok(whole) = number.extract::<i64>() {
        return Ok(whole.into());
    }
    if let Ok(whole) = number.extract::<u64>() {
        return Ok(whole.into());
    }
    let float = number.extract::<f64>().unwrap_or(f64::MAX);
    Ok(Number::from_f64(float).map_or(Value::Null, Value::Number))
}

/// Refuses what JSON has no form for.
pub(crate) fn nothing_else(object: &Bound<'_, PyAny>) -> PyResult<Value> {
    Err(PyTypeError::new_err(format!("{} has no form in JSON", object.get_type().name()?)))
}

/// Dictionaries, lists, strings and numbers of a JSON value.
pub(crate) fn to_py<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::Null => py.None().into_bound(py),
        Value::Bool(flag) => PyBool::new(py, *flag).to_owned().into_any(),
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(whole), _) => whole.into_pyobject(py)?.into_any(),
            (None, Some(whole)) => whole.into_pyobject(py)?.into_any(),
            (None, None) => PyFloat::new(py, number.as_f64().unwrap_or(f64::NAN)).into_any(),
        },
        Value::String(text) => PyString::new(py, text).into_any(),
        Value::Array(items) => {
            let list = PyList::empty(py);
            for item in items {
                list.append(to_py(py, item)?)?;
            }
            list.into_any()
        }
        Value::Object(map) => {
            let dict = PyDict::new(py);
            for (key, value) in map {
                dict.set_item(key, to_py(py, value)?)?;
            }
            dict.into_any()
        }
    })
}
