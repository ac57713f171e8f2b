#[path = "outliers/injection.rs"]
mod injection;
use igpt_runtime::*;
use igpt_tools::calibration::{self, Forward, Source};
use igpt_tools::checkpoint::Checkpoint;
use igpt_tools::onnx::ModelDtype;
use igpt_tools::quantization::block::BlockWeights;
use igpt_tools::verbs::quantize::{Args, quantize};
use injection::*;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
fn read(folder: &Path) -> Tensors {
    let c = Checkpoint::open(folder).unwrap();
    let names: Vec<String> = c.names().map(str::to_owned).collect();
    names
        .into_iter()
        .map(|n| {
            let s = c.shape(&n).unwrap().to_vec();
            let v = c.to_f32(&n).unwrap();
            (n, (s, v))
        })
        .collect()
}
fn write(from: &Path, tensors: &Tensors, to: &Path) {
    for f in ["config.json", "preprocessor_config.json"] {
        if from.join(f).exists() {
            std::fs::write(to.join(f), std::fs::read(from.join(f)).unwrap()).unwrap();
        }
    }
    let b: Vec<_> = tensors
        .iter()
        .map(|(n, (s, v))| (n, s, bytemuck::cast_slice::<f32, u8>(v)))
        .collect();
    let views: HashMap<_, _> = b
        .iter()
        .map(|(n, s, b)| {
            (
                (*n).clone(),
                TensorView::new(Dtype::F32, (*s).clone(), b).unwrap(),
            )
        })
        .collect();
    safetensors::serialize_to_file(views, None, &to.join("model.safetensors")).unwrap();
}
fn logits(folder: &Path, batch: &[&[u16]], cal: bool) -> Vec<Vec<f32>> {
    let mut kinds = vec![(ModelDtype::F32, false), (ModelDtype::Int8, false)];
    if cal {
        kinds.push((ModelDtype::Int8, true));
    }
    kinds
        .into_iter()
        .map(|(dtype, c)| {
            let output = folder.join("out.onnx");
            quantize(&Args {
                dtype,
                calibrate: c.then(|| PathBuf::from("/usr/share/datasets/fashion-mnist")),
                ..Args::new(folder, &output)
            })
            .unwrap();
            ImageGptModel::load(&output, &LoadOptions::default())
                .unwrap()
                .forward(batch)
                .unwrap()
                .logits
        })
        .collect()
}
fn distance(a: &[f32], b: &[f32]) -> f64 {
    let sq = |x: f32| f64::from(x) * f64::from(x);
    let d: f64 = a.iter().zip(b).map(|(a, b)| sq(a - b)).sum();
    (d / a.iter().map(|a| sq(*a)).sum::<f64>()).sqrt()
}
fn rms(x: &[f32], c: usize) -> f64 {
    x.chunks(c)
        .map(|r| (r.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / c as f64 + 1e-5).sqrt())
        .sum::<f64>()
        / (x.len() / c) as f64
}
fn compensate(from: &Path, t: &mut Tensors, to: &Path, config: &ImageGptConfig, batch: &[&[u16]]) {
    let f = Forward::new(config, batch[0].len());
    let tokens = batch.concat();
    let c0 = Checkpoint::open(from).unwrap();
    let c = config.n_embd;
    let mut x0 = f.embed(
        &tokens,
        &c0.to_f32("wte.weight").unwrap(),
        &c0.to_f32("wpe.weight").unwrap(),
    );
    let mut x1 = f.embed(&tokens, &t["wte.weight"].1, &t["wpe.weight"].1);
    let mul = |t: &mut Tensors, n: String, r: f64| {
        t.get_mut(&n)
            .unwrap()
            .1
            .iter_mut()
            .for_each(|g| *g *= r as f32)
    };
    let mut rs = vec![];
    for l in 0..config.n_layer {
        let b0 = BlockWeights::read(&c0, l).unwrap();
        let t0 = f.trace(l, &b0, &x0).unwrap();
        let r = rms(&x1, c) / rms(&x0, c);
        rs.push(r);
        mul(t, format!("h.{l}.ln_1.weight"), r);
        write(from, t, to);
        let b1 = BlockWeights::read(&Checkpoint::open(to).unwrap(), l).unwrap();
        let t1 = f.trace(l, &b1, &x1).unwrap();
        let r = rms(&t1.middle, c) / rms(&t0.middle, c);
        rs.push(r);
        mul(t, format!("h.{l}.ln_2.weight"), r);
        write(from, t, to);
        let b1 = BlockWeights::read(&Checkpoint::open(to).unwrap(), l).unwrap();
        let t1 = f.trace(l, &b1, &x1).unwrap();
        x0 = t0.output;
        x1 = t1.output;
    }
    let r = rms(&x1, c) / rms(&x0, c);
    rs.push(r);
    mul(t, "ln_f.weight".into(), r);
    print!("  [rms x{:.1}..{:.1}]", rs[0], rs[rs.len() - 1]);
}
fn noisy(t: &Tensors, seed: u64) -> Tensors {
    let mut t = t.clone();
    let mut r = Random::new(seed);
    for (n, (shape, v)) in t.iter_mut() {
        if shape.len() != 2 || !n.starts_with("h.") {
            continue;
        }
        let c = shape[1];
        let mut sq = vec![0f64; c];
        for row in v.chunks(c) {
            for (s, x) in sq.iter_mut().zip(row) {
                *s += f64::from(*x).powi(2);
            }
        }
        let rows = v.len() / c;
        for row in v.chunks_mut(c) {
            for (s, x) in sq.iter().zip(row) {
                let g: f64 = (0..12).map(|_| r.next()).sum::<f64>() - 6.0;
                *x += (0.01 * (s / rows as f64).sqrt() * g) as f32;
            }
        }
    }
    t
}
#[test]
fn seeds() {
    let m = PathBuf::from(std::env::var("MODELS").unwrap());
    let config = ImageGptConfig::from_file(m.join("config.json")).unwrap();
    let p = ImageGptImageProcessor::from_file(m.join("preprocessor_config.json")).unwrap();
    let tensors = read(&m);
    let set = calibration::read_images(
        &Source {
            path: "/usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz".into(),
            count: 16,
        },
        &config,
        Some(&p),
        tensors.contains_key("lm_head.weight"),
    )
    .unwrap();
    let real: Vec<&[u16]> = set.tokens.chunks(set.length).collect();
    let random = &mut Random::new(7);
    let rows: Vec<Vec<u16>> = (0..8)
        .map(|_| {
            let mut id = 0;
            let mut next = || {
                if random.next() < 0.3 {
                    id = (random.next() * config.num_colors() as f64) as u16;
                }
                id
            };
            (0..64).map(|_| next()).collect()
        })
        .collect();
    let fake: Vec<&[u16]> = rows.iter().map(Vec::as_slice).collect();
    let dir = tempfile::tempdir().unwrap();
    let both = |t: &Tensors| {
        write(&m, t, dir.path());
        let l: Vec<_> = [ModelDtype::F32, ModelDtype::Int8]
            .into_iter()
            .map(|dtype| {
                let output = dir.path().join("out.onnx");
                quantize(&Args {
                    dtype,
                    ..Args::new(dir.path(), &output)
                })
                .unwrap();
                let m = ImageGptModel::load(&output, &LoadOptions::default()).unwrap();
                [
                    m.forward(&real).unwrap().logits,
                    m.forward(&fake).unwrap().logits,
                ]
            })
            .collect();
        [distance(&l[0][0], &l[1][0]), distance(&l[0][1], &l[1][1])]
    };
    let e0 = both(&tensors);
    println!("plain {e0:.5?}");
    for case in [
        Injection::All(Side::Mixed),
        Injection::Gains(Side::Down),
        Injection::Gains(Side::Up),
    ] {
        let mut all: [Vec<f64>; 2] = Default::default();
        for seed in 0..std::env::var("SEEDS").unwrap().parse().unwrap() {
            let mut t = tensors.clone();
            case.apply(&mut t, &config, 1000 + seed);
            let e = both(&t);
            for i in 0..2 {
                all[i].push(e[i] / e0[i]);
            }
        }
        for a in &mut all {
            a.sort_by(f64::total_cmp);
        }
        println!("{case:?} real {:.2?} fake {:.2?}", all[0], all[1]);
    }
}
#[test]
fn noise() {
    let models = std::env::var("MODELS").unwrap();
    for m in models.split(',') {
        let m = Path::new(m);
        let config = ImageGptConfig::from_file(m.join("config.json")).unwrap();
        let p = ImageGptImageProcessor::from_file(m.join("preprocessor_config.json")).unwrap();
        let tensors = read(m);
        let set = calibration::read_images(
            &Source {
                path: "/usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz".into(),
                count: 48,
            },
            &config,
            Some(&p),
            tensors.contains_key("lm_head.weight"),
        )
        .unwrap();
        let batch: Vec<&[u16]> = set.tokens.chunks(set.length).collect();
        let dir = tempfile::tempdir().unwrap();
        let f = |t: &Tensors| {
            write(m, t, dir.path());
            let output = dir.path().join("out.onnx");
            quantize(&Args {
                dtype: ModelDtype::F32,
                ..Args::new(dir.path(), &output)
            })
            .unwrap();
            ImageGptModel::load(&output, &LoadOptions::default())
                .unwrap()
                .forward(&batch)
                .unwrap()
                .logits
        };
        let e = |t: &Tensors| distance(&f(t), &f(&noisy(t, 5)));
        let e0 = e(&tensors);
        println!("{} noise {e0:.4}", m.display());
        for case in [
            Injection::Gains(Side::Up),
            Injection::Residual(Side::Down),
            Injection::Residual(Side::Up),
        ] {
            print!("noise {case:?}:");
            for seed in 0..4 {
                let mut t = tensors.clone();
                case.apply(&mut t, &config, 100 + seed);
                print!(" {:.2}", e(&t) / e0);
            }
            println!();
        }
    }
}
#[test]
fn experiment() {
    let models = std::env::var("MODELS").unwrap();
    let seeds: u64 = std::env::var("SEEDS").unwrap().parse().unwrap();
    let cal = std::env::var("CAL").is_ok();
    for m in models.split(',') {
        let m = Path::new(m);
        let config = ImageGptConfig::from_file(m.join("config.json")).unwrap();
        let p = ImageGptImageProcessor::from_file(m.join("preprocessor_config.json")).unwrap();
        let tensors = read(m);
        let set = calibration::read_images(
            &Source {
                path: "/usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz".into(),
                count: 48,
            },
            &config,
            Some(&p),
            tensors.contains_key("lm_head.weight"),
        )
        .unwrap();
        let batch: Vec<&[u16]> = set.tokens.chunks(set.length).collect();
        let dir = tempfile::tempdir().unwrap();
        write(m, &tensors, dir.path());
        let base = logits(dir.path(), &batch, cal);
        let e0: Vec<f64> = base[1..].iter().map(|l| distance(&base[0], l)).collect();
        println!("{}: plain {:.5?}", m.display(), e0);
        use Side::*;
        let cases = [
            Injection::Gains(Up),
            Injection::Gains(Down),
            Injection::Values(Up),
            Injection::Values(Down),
            Injection::Queries(Up),
            Injection::Queries(Down),
            Injection::Head(Up),
            Injection::Head(Down),
            Injection::All(Mixed),
            Injection::Residual(Down),
            Injection::Residual(Up),
        ];
        let only = std::env::var("ONLY").unwrap_or_default();
        for case in cases {
            if !format!("{case:?}").contains(&only) {
                continue;
            }
            for comp in [false, true] {
                if comp && !matches!(case, Injection::Residual(_)) {
                    continue;
                }
                print!("{case:?}{}:", if comp { " comp" } else { "" });
                for seed in 0..seeds {
                    let mut t = tensors.clone();
                    case.apply(&mut t, &config, 100 + seed);
                    if comp {
                        compensate(m, &mut t, dir.path(), &config, &batch[..8]);
                    }
                    write(m, &t, dir.path());
                    let l = logits(dir.path(), &batch, cal);
                    let e: Vec<f64> = l[1..]
                        .iter()
                        .zip(&e0)
                        .map(|(x, e0)| distance(&l[0], x) / e0)
                        .collect();
                    print!(" {:.2?}(drift {:.0e})", e, distance(&base[0], &l[0]));
                }
                println!();
            }
        }
    }
}
