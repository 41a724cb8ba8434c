//! What the runner must do with honest models, odd models and hostile ones.

mod bad_files;
mod big_model;
mod computed_early;
mod conformance;
mod digits;
mod exact_integers;
mod hostile_environment;
mod life;
mod limits;
mod many_tensors;
mod mutated_models;
mod onnx;
mod other_processors;
mod standard;
mod support;
