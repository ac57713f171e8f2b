//! The forms of `preprocessor_config.json`, and what the processor refuses.
