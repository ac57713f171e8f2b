//! From an ImageGPT checkpoint to one ONNX file, and everything around it: the library behind `igpt`.

pub mod checkpoint;
