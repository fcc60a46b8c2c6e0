//! What a request to Bedrock will reserve, before it is made.

use std::sync::OnceLock;

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyMapping;
use serde_json::Value;
use sluicegate_bedrock::{Catalogue, Operation, Ratios, RequestShape, estimate_request};

use crate::appraiser::blob;
use crate::{errors, values};

/// What a request is taken for.
#[pyclass(frozen, eq, hash, get_all, name = "Estimate", module = "sluicegate")]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PyEstimate {
    /// Tokens of the prompt, by its bytes.
    input_tokens: u64,
    /// The request's own cap on the answer, in tokens; None where it has none.
    max_tokens: Option<u64>,
    /// Quota tokens that the service sets aside: the prompt, and the cap or the longest answer of the model.
    reserved_tokens: u64,
    /// Bytes of text.
    text_bytes: u64,
    /// Images.
    images: u32,
    /// Pages of PDF and office documents, as far as their size tells.
    document_pages: u32,
}

#[pymethods]
impl PyEstimate {
    fn __repr__(&self) -> String {
        let Self { input_tokens, reserved_tokens, .. } = self;
        format!("<Estimate of {input_tokens} input tokens, {reserved_tokens} reserved>")
    }
}

/// Estimates what a request to Bedrock reserves, without a tokenizer.
///
/// `request` holds the arguments of `converse` or of `invoke_model`, as boto3 takes them, or is the body of the latter, as
/// bytes or str; then `model` names the model. Bytes inside a request count by their size. Figures are those of the built-in
/// catalogue.
#[pyfunction]
#[pyo3(signature = (request, *, model=None))]
pub(crate) fn estimate(py: Python<'_>, request: &Bound<'_, PyAny>, model: Option<String>) -> PyResult<PyEstimate> {
    let (named, shape) = match request.cast::<PyMapping>() {
        Ok(arguments) => read(arguments)?,
        Err(_) => (None, of_body(request)?),
    };
    let model = model
        .or(named)
        .ok_or_else(|| errors::wrong(py, "unknown_model", "the request names no model; say it with model="))?;
    static CATALOGUE: OnceLock<Catalogue> = OnceLock::new();
    let catalogue = CATALOGUE.get_or_init(Catalogue::builtin);
    let model = catalogue.model(&model);
    let input_tokens = Ratios::new().input_tokens(catalogue, &model, &shape);
    let RequestShape { text_bytes, max_tokens, images, document_pages, .. } = shape;
    let reserved_tokens = catalogue.reserve(&model, input_tokens, 0, 0, max_tokens);
    Ok(PyEstimate { input_tokens, max_tokens, reserved_tokens, text_bytes, images, document_pages })
}

/// The model and the shape of boto3's arguments.
fn read(arguments: &Bound<'_, PyMapping>) -> PyResult<(Option<String>, RequestShape)> {
    let named = match arguments.contains("modelId")? {
        true => Some(arguments.get_item("modelId")?.extract()?),
        false => None,
    };
    let shape = match arguments.contains("body")? {
        true => of_body(&arguments.get_item("body")?)?,
        false => estimate_request(&values::from_py(arguments.as_any(), blob)?, Operation::Converse),
    };
    Ok((named, shape))
}

/// The shape of a body; one that is no JSON has none.
fn of_body(body: &Bound<'_, PyAny>) -> PyResult<RequestShape> {
    let body: Value = match body.extract::<String>() {
        Ok(text) => serde_json::from_str(&text).unwrap_or_default(),
        Err(_) => serde_json::from_slice(&body.extract::<PyBackedBytes>()?).unwrap_or_default(),
    };
    Ok(estimate_request(&body, Operation::InvokeModel))
}
