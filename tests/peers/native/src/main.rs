//! A runtime as a contender: loads an ONNX file as the runtime's own documentation says, then runs it once for each line
//! of standard input and answers with the seconds that took. The protocol is tests/peers/contender.py's. With PASSES it runs
//! that often and says nothing: tests/arm-cost/peers counts instructions, and the digits of a time would make them waver.
//!
//!     igpt-peers onnxruntime|rten|tract FILE.onnx THREADS TOKENS COLORS [PASSES]
//!     igpt-peers onnxruntime|rten|tract FILE.onnx THREADS pixels CHANNELSxHEIGHTxWIDTH [PASSES]

use std::io::{self, BufRead as _, Write as _};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

/// A loaded model: so many forward passes, giving the last one's logits.
type Forward = Box<dyn FnMut(usize) -> Result<Vec<f32>>>;

/// What a model is fed, always the same.
enum Input {
    /// Token ids `[1, n]`.
    Tokens(Vec<i64>),
    /// Pixel values of this shape.
    Pixels(Vec<usize>, Vec<f32>),
}

impl Input {
    /// What `igpt bench` runs.
    fn parse(first: &str, second: &str) -> Result<Self> {
        if first != "pixels" {
            let (tokens, colors): (i64, i64) = (first.parse()?, second.parse()?);
            return Ok(Self::Tokens((0..tokens).map(|i| (i * 7919) % colors).collect()));
        }
        let mut shape = vec![1];
        for side in second.split('x') {
            shape.push(side.parse()?);
        }
        let count = shape.iter().product::<usize>();
        let values = (0..count).map(|i| (i * 7919 % 512) as f32 / 128.0 - 2.0);
        Ok(Self::Pixels(shape, values.collect()))
    }
}

fn main() -> Result<()> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let passes = if arguments.len() == 6 {
        arguments.pop()
    } else {
        None
    };
    let [runtime, file, threads, tokens, colors] = arguments.as_slice() else {
        bail!("usage: igpt-peers onnxruntime|rten|tract FILE.onnx THREADS TOKENS COLORS [PASSES]");
    };
    let threads: usize = threads.parse()?;
    let input = Input::parse(tokens, colors)?;
    let start = Instant::now();
    let mut forward = match runtime.as_str() {
        #[cfg(feature = "onnxruntime")]
        "onnxruntime" => onnxruntime(file, threads, &input)?,
        "rten" => rten(file, threads, &input)?,
        #[cfg(feature = "tract")]
        "tract" => tract(file, threads, &input)?,
        other => bail!("{other} is none of the runtimes that this program was built with"),
    };
    if let Some(passes) = passes {
        std::hint::black_box(forward(passes.parse()?)?);
        return Ok(());
    }
    let load = start.elapsed().as_secs_f64();
    let logits = forward(1)?;
    println!("{{\"load\": {load}, \"logits\": {logits:?}}}");
    for line in io::stdin().lock().lines() {
        line?;
        let start = Instant::now();
        std::hint::black_box(forward(1)?);
        println!("{}", start.elapsed().as_secs_f64());
        io::stdout().flush()?;
    }
    Ok(())
}

#[cfg(feature = "onnxruntime")]
fn onnxruntime(file: &str, threads: usize, input: &Input) -> Result<Forward> {
    let options = |error: ort::Error<_>| anyhow::anyhow!("{error}");
    // Its own threads would be counted, and nobody asked for reports over the network.
    let environment = ort::init().with_telemetry(false).build()?;
    let mut session = ort::session::Session::builder(&environment)?
        .with_intra_threads(threads)
        .map_err(options)?
        .with_inter_threads(1)
        .map_err(options)?
        .commit_from_file(file)?;
    let input = match input {
        Input::Tokens(ids) => {
            ort::value::Tensor::from_array(([1, ids.len()], ids.clone()))?.into_dyn()
        }
        Input::Pixels(shape, values) => {
            ort::value::Tensor::from_array((shape.clone(), values.clone()))?.into_dyn()
        }
    };
    Ok(Box::new(move |passes| {
        let mut logits = Vec::new();
        for _ in 0..passes {
            let outputs = session.run([ort::session::SessionInputValue::from(&input)])?;
            logits = outputs[0].try_extract_tensor()?.1.to_vec();
        }
        Ok(logits)
    }))
}

fn rten(file: &str, threads: usize, input: &Input) -> Result<Forward> {
    use rten_tensor::prelude::{AsView as _, Layout as _};
    let mut options = rten::ModelOptions::with_all_ops();
    // What its command line does: weights are laid out for the kernels at load.
    options.prepack_weights(true);
    let model = options.load_file(file)?;
    let input: rten::Value = match input {
        Input::Tokens(ids) => {
            let ids: Vec<i32> = ids.iter().map(|t| *t as i32).collect();
            rten_tensor::Tensor::from_data(&[1, ids.len()], ids).into()
        }
        Input::Pixels(shape, values) => {
            rten_tensor::Tensor::from_data(shape, values.clone()).into()
        }
    };
    let id = *model
        .input_ids()
        .first()
        .context("a model without inputs")?;
    let output = *model
        .output_ids()
        .first()
        .context("a model without outputs")?;
    let pool = std::sync::Arc::new(rten::ThreadPool::with_num_threads(threads));
    let run = move |pool| -> Result<Vec<f32>> {
        let options = rten::RunOptions::default().with_thread_pool(Some(pool));
        let [logits] = model.run_n(vec![(id, input.as_view().into())], [output], Some(options))?;
        let logits: rten_tensor::Tensor<f32> = logits.try_into()?;
        debug_assert!(logits.ndim() == 2);
        Ok(logits.to_vec())
    };
    // All passes inside the pool: between two of them its thread would look for work, for a while that nobody can foresee.
    Ok(Box::new(move |passes| {
        let mut logits = Vec::new();
        pool.run(|| {
            for _ in 0..passes {
                logits = run(pool.clone())?;
            }
            Ok(logits)
        })
    }))
}

#[cfg(feature = "tract")]
fn tract(file: &str, threads: usize, input: &Input) -> Result<Forward> {
    use tract_onnx::prelude::{
        DatumExt as _, Framework as _, InferenceModelExt as _, IntoRunnable as _, Tensor,
        multithread, tvec,
    };
    let executor = match threads {
        1 => multithread::Executor::SingleThread,
        n => multithread::Executor::multithread(n),
    };
    let (input, fact) = match input {
        Input::Tokens(ids) => (
            Tensor::from_shape(&[1, ids.len()], ids)?,
            i64::fact([1, ids.len()]),
        ),
        Input::Pixels(shape, values) => (Tensor::from_shape(shape, values)?, f32::fact(shape)),
    };
    let plan = tract_onnx::onnx()
        .model_for_path(file)?
        .with_input_fact(0, fact.into())?
        .into_optimized()?
        .into_runnable()?;
    Ok(Box::new(move |passes| {
        let mut logits = Vec::new();
        for _ in 0..passes {
            let run = || plan.run(tvec!(input.clone().into()));
            let output = multithread::multithread_tract_scope(executor.clone(), run)?;
            logits = output[0].try_as_plain_ram()?.as_slice::<f32>()?.to_vec();
        }
        Ok(logits)
    }))
}
