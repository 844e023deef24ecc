//! What is learned of loads: the plain cases with whole values, and what holds
//! whatever was seen.

use proptest::prelude::*;

use super::*;
use crate::domain::model::ModelName;
use crate::domain::time::Wall;

fn key(context: u64) -> LoadKey {
    LoadKey {
        digest: "d1".into(),
        context,
        parallel: 1,
        kv_type: KvType::F16,
        placement: Placement::Cpu,
        version: "0.30.1".into(),
    }
}

/// `mib`: estimated, measured, peak.
fn load(context: u64, second: i64, mib: (u64, u64, u64)) -> LoadObserved {
    LoadObserved {
        key: key(context),
        model: ModelName::new("m"),
        loaded: Wall::from_second(second).unwrap(),
        estimated_reported: None,
        estimated: Some(Bytes::mib(mib.0)).filter(|bytes| !bytes.is_zero()),
        expected: None,
        reported: None,
        measured: Bytes::mib(mib.1),
        peak: Bytes::mib(mib.2),
        was_used: true,
    }
}

fn learned(count: u32, mib: [u64; 4], is_scaled: bool) -> LearnedFootprint {
    let [mean, spread, peak, growth] = mib.map(Bytes::mib);
    LearnedFootprint { count, mean, spread, peak, growth, is_scaled }
}

#[test]
fn loads_of_the_very_settings_are_summed_up() {
    let book = Book::new([
        load(4096, 1, (1000, 1000, 1100)),
        load(4096, 2, (1000, 1040, 1300)),
        load(4096, 3, (1000, 1080, 1080)),
    ]);
    let expected = learned(3, [1040, 40, 1300, 260], false);
    assert_eq!(book.about(&key(4096), Bytes::mib(5)), Some(expected));
    let (weights, measured) = (Bytes::mib(1200), Bytes::mib(1000));
    let mut need = Need { weights, measured, ..Need::default() };
    book.correct(&key(4096), &mut need);
    assert_eq!((need.measured, need.learned), (Bytes::mib(1040), Some(expected)));
    // The peak, as far as the parts go: beyond them lies growth.
    assert_eq!(need.bytes(), Bytes::mib(1200));
}

#[test]
fn nothing_is_said_of_what_was_never_seen() {
    let book = Book::new([load(4096, 1, (1000, 1000, 1000))]);
    let other = [
        LoadKey { digest: "d2".into(), ..key(4096) },
        LoadKey { parallel: 2, ..key(4096) },
        LoadKey { kv_type: KvType::Q8_0, ..key(4096) },
        LoadKey { placement: Placement::Gpu, ..key(4096) },
        // Another server may allocate otherwise.
        LoadKey { version: "0.30.2".into(), ..key(4096) },
    ];
    for key in other {
        assert_eq!(book.about(&key, Bytes::mib(1000)), None, "{key:?}");
        let mut need = Need { measured: Bytes::mib(1000), ..Need::default() };
        book.correct(&key, &mut need);
        assert_eq!(need, Need { measured: Bytes::mib(1000), ..Need::default() });
    }
    assert_eq!(Book::default().about(&key(1), Bytes::ZERO), None);
}

#[test]
fn the_same_load_written_again_replaces_itself() {
    let mut book = Book::new([load(4096, 1, (1000, 1000, 1000))]);
    book.note(load(4096, 1, (1000, 1010, 1500)));
    let expected = learned(1, [1010, 0, 1500, 490], false);
    assert_eq!(book.about(&key(4096), Bytes::ZERO), Some(expected));
}

#[test]
fn a_load_that_never_worked_counts_only_where_none_has() {
    let unused = |second, mib| LoadObserved { was_used: false, ..load(4096, second, mib) };
    let mut book = Book::new([unused(1, (1000, 800, 800)), unused(2, (1000, 820, 820))]);
    assert_eq!(book.about(&key(4096), Bytes::ZERO).unwrap().mean, Bytes::mib(810));
    book.note(load(4096, 3, (1000, 1000, 1000)));
    let expected = learned(1, [1000, 0, 1000, 0], false);
    assert_eq!(book.about(&key(4096), Bytes::ZERO), Some(expected));
    // And so for other contexts: this one tells nothing of one that works.
    book.note(LoadObserved { was_used: false, ..load(8192, 4, (1100, 500, 500)) });
    assert_eq!(book.about(&key(16384), Bytes::mib(1500)).unwrap().mean, Bytes::mib(1500));
}

#[test]
fn one_that_is_far_off_does_not_count_once_there_is_a_majority() {
    let mut book =
        Book::new([load(4096, 1, (1000, 1000, 1000)), load(4096, 2, (1000, 9000, 9999))]);
    // Of two nobody can tell which is right, and the larger is safe.
    assert_eq!(book.about(&key(4096), Bytes::ZERO).unwrap().peak, Bytes::mib(9999));
    book.note(load(4096, 3, (1000, 1020, 1050)));
    let found = book.about(&key(4096), Bytes::ZERO).unwrap();
    assert_eq!((found.count, found.mean, found.peak), (2, Bytes::mib(1010), Bytes::mib(1050)));
}

#[test]
fn one_other_context_scales_the_estimate() {
    let book = Book::new([load(4096, 1, (1000, 1100, 1150))]);
    let found = book.about(&key(8192), Bytes::mib(1200));
    assert_eq!(found, Some(learned(1, [1320, 0, 1370, 50], true)));
    // Without an estimate there is nothing to scale.
    assert_eq!(book.about(&key(8192), Bytes::ZERO), None);
}

#[test]
fn two_other_contexts_give_a_line() {
    // The formulas miss 50 MiB and 100 MiB for each 4096 tokens.
    let seen = [load(4096, 1, (1000, 1150, 1150)), load(8192, 2, (1200, 1450, 1500))];
    let book = Book::new(seen.clone());
    let mean = |book: &Book, context, said| book.about(&key(context), Bytes::mib(said));
    assert_eq!(mean(&book, 6144, 1100), Some(learned(2, [1300, 0, 1350, 50], true)));
    assert_eq!(mean(&book, 12288, 1400), Some(learned(2, [1750, 0, 1800, 50], true)));
    // Far away the correction grows no further than one such step.
    assert_eq!(mean(&book, 131_072, 9000), Some(learned(2, [9350, 0, 9400, 50], true)));
    assert_eq!(mean(&book, 2048, 900).unwrap().mean, Bytes::mib(1000));

    // Without estimates the figures themselves give it, and near them only.
    let bare = seen.map(|load| LoadObserved { estimated: None, ..load });
    let book = Book::new(bare);
    assert_eq!(mean(&book, 12288, 0), Some(learned(2, [1750, 0, 1800, 50], true)));
    assert_eq!(mean(&book, 12288, 1400), Some(learned(2, [1750, 0, 1800, 50], true)));
    assert_eq!(mean(&book, 12289, 0), None);
}

#[test]
fn a_step_that_the_formulas_know_is_kept() {
    // Buffers double above 4096 tokens, and all is 100 MiB more than said.
    let book = Book::new([load(2048, 1, (900, 1000, 1000)), load(4096, 2, (1000, 1100, 1100))]);
    let found = book.about(&key(8192), Bytes::mib(1700)).unwrap();
    assert_eq!(found.mean, Bytes::mib(1800));
}

#[test]
fn more_context_never_takes_less_where_no_formula_helps() {
    let book = Book::new([load(4096, 1, (0, 1010, 1010)), load(8192, 2, (0, 1000, 1000))]);
    for context in [2048, 6144, 10_000] {
        assert_eq!(book.about(&key(context), Bytes::ZERO).unwrap().mean, Bytes::mib(1010));
    }
}

#[test]
fn a_carried_figure_stays_near_the_formulas() {
    let book = Book::new([load(4096, 1, (1000, 9000, 9000))]);
    assert_eq!(book.about(&key(8192), Bytes::mib(1200)).unwrap().mean, Bytes::mib(2400));
    let book = Book::new([load(4096, 1, (1000, 10, 10))]);
    assert_eq!(book.about(&key(8192), Bytes::mib(1200)).unwrap().mean, Bytes::mib(600));
}

#[test]
fn a_figure_far_too_small_corrects_no_estimate() {
    let book = Book::new([load(4096, 1, (1000, 350, 350))]);
    let mut need = Need { measured: Bytes::mib(1000), ..Need::default() };
    book.correct(&key(4096), &mut need);
    assert_eq!((need.measured, need.learned), (Bytes::mib(1000), None));
}

#[test]
fn one_absurd_load_keeps_no_model_out_for_good() {
    let need = Need { weights: Bytes::mib(1100), measured: Bytes::mib(1000), ..Need::default() };
    let corrected = |book: &Book, context| {
        let mut need = need.clone();
        book.correct(&key(context), &mut need);
        need.bytes()
    };
    let absurd = Bytes::gib(900).get() >> 20;
    let mut book = Book::new([load(4096, 1, (1000, absurd, absurd))]);
    assert_eq!(corrected(&book, 4096), Bytes::mib(2200));
    book.note(load(4096, 2, (1000, 1010, 1010)));
    assert_eq!(corrected(&book, 4096), Bytes::mib(2200), "nobody can tell which is right");
    book.note(load(4096, 3, (1000, 1020, 1020)));
    assert!(corrected(&book, 4096) < Bytes::mib(1100));
    // Nor by what it does to a line through other contexts.
    let others = [2048, 6144, 8192, 12_288];
    let odd = others.map(|context| load(context, 9, (1000, absurd * context % 7, absurd)));
    assert!(corrected(&Book::new(odd), 4096) <= Bytes::mib(2200));
    // What is seen again and again is so, whatever the formulas say.
    let often = (1..4).map(|at| load(4096, at, (1000, 5000, 5000)));
    assert_eq!(corrected(&Book::new(often), 4096), Bytes::mib(5000));
    // Labels alone say too little to judge by.
    let mut rough = Need { is_rough: true, ..need.clone() };
    Book::new([load(4096, 1, (1000, 9000, 9000))]).correct(&key(4096), &mut rough);
    assert_eq!(rough.bytes(), Bytes::mib(9000));
}

#[test]
fn loads_that_never_worked_lower_no_estimate() {
    let unused = |mib| LoadObserved { was_used: false, ..load(4096, 1, mib) };
    let corrected = |load, context| {
        let mut need = Need { measured: Bytes::mib(1000), ..Need::default() };
        Book::new([load]).correct(&key(context), &mut need);
        (need.measured, need.learned.is_some())
    };
    let estimate = (Bytes::mib(1000), false);
    for context in [4096, 8192] {
        assert_eq!(corrected(unused((1000, 800, 800)), context), estimate, "{context}");
        let more = corrected(unused((1000, 1100, 1100)), context);
        assert_eq!(more, (Bytes::mib(1100), true), "{context}");
        let worked = corrected(load(4096, 1, (1000, 800, 800)), context);
        assert_eq!(worked, (Bytes::mib(800), true), "{context}");
    }
}

#[test]
fn what_names_no_model_or_measured_nothing_is_passed_over() {
    let sound = load(4096, 1, (1000, 1000, 1000));
    let nameless = LoadKey { digest: String::new(), ..key(4096) };
    let endless = LoadKey { version: "v".repeat(300), ..key(4096) };
    let book = Book::new([
        LoadObserved { key: nameless.clone(), ..sound.clone() },
        LoadObserved { key: endless.clone(), ..sound.clone() },
        LoadObserved { measured: Bytes::ZERO, ..sound },
    ]);
    assert_eq!(book.loads, 0);
    for key in [nameless, endless, key(4096)] {
        assert_eq!(book.about(&key, Bytes::mib(1000)), None);
    }
}

#[test]
fn it_stays_bounded_and_the_newest_stay() {
    let mut book = Book::default();
    for second in 0..100 {
        book.note(load(4096, second, (1000, 1000 + second as u64 / 50, 1000)));
    }
    let found = book.about(&key(4096), Bytes::ZERO).unwrap();
    assert_eq!((found.count, found.mean), (PER_KEY as u32, Bytes::mib(1001)));
    for second in 1_000..10_000 {
        let mut other = load(4096, second, (1000, 1000, 1000));
        other.key.digest = second.to_string();
        book.note(other);
        assert!(book.loads <= MOST);
    }
    let all = book.families.values().flat_map(BTreeMap::values).map(|shelf| shelf.loads.len());
    assert_eq!(all.sum::<usize>(), book.loads);
    assert!(book.loads > AFTER_CLEARING);
    assert_eq!(book.about(&key(4096), Bytes::ZERO), None);
    let newest = LoadKey { digest: "9999".into(), ..key(4096) };
    assert!(book.about(&newest, Bytes::ZERO).is_some());
}

/// Few contexts and times, so that loads meet; any sizes.
fn any_load() -> impl Strategy<Value = LoadObserved> {
    let size = prop_oneof![0..200_000u64, Just(u64::MAX), any::<u64>()];
    let settings = (1..6u64, 0..40i64, any::<bool>());
    (settings, size.clone(), size.clone(), size).prop_map(|(settings, said, measured, peak)| {
        let (context, second, was_used) = settings;
        LoadObserved {
            estimated: Some(Bytes::new(said)).filter(|bytes| !bytes.is_zero()),
            measured: Bytes::new(measured),
            peak: Bytes::new(peak),
            was_used,
            ..load(context * 2048, second, (0, 0, 0))
        }
    })
}

proptest! {
    #[test]
    fn figures_are_sound_whatever_was_seen(
        loads in prop::collection::vec(any_load(), 0..60),
        context in prop_oneof![(1..8u64).prop_map(|step| step * 2048), any::<u64>()],
        said in prop_oneof![Just(0), 1..200_000u64, any::<u64>()],
    ) {
        let book = Book::new(loads.clone());
        let Some(found) = book.about(&key(context), Bytes::new(said)) else { return Ok(()) };
        prop_assert!(found.count >= 1);
        prop_assert!(found.peak >= found.mean);
        let sizes = || loads.iter().map(|load| load.measured).filter(|size| !size.is_zero());
        if found.is_scaled {
            prop_assert_eq!(found.peak, found.mean + found.growth);
            if said > 0 {
                let ratio = found.mean.get() as f64 / said as f64;
                // Half a byte of rounding on one byte is half of it.
                let slack = 0.5 / said as f64 + 1e-9;
                prop_assert!((LEAST - slack..=LARGEST + slack).contains(&ratio), "{ratio}");
            }
        } else {
            prop_assert!(found.mean >= sizes().min().unwrap());
            prop_assert!(found.mean <= sizes().max().unwrap());
            prop_assert!(found.count as usize <= PER_KEY);
            if found.count == 1 {
                prop_assert_eq!(found.spread, Bytes::ZERO);
            }
        }
    }

    #[test]
    fn the_order_in_which_loads_are_noted_does_not_matter(
        (loads, shuffled) in prop::collection::vec(any_load(), 0..60).prop_flat_map(|loads| {
            // One of each key and time: of two the later noted would count.
            let mut seen = std::collections::BTreeSet::new();
            let loads: Vec<LoadObserved> = loads
                .into_iter()
                .filter(|load| seen.insert((load.key.clone(), load.loaded)))
                .collect();
            (Just(loads.clone()), Just(loads).prop_shuffle())
        }),
        context in 1..8u64,
        said in 0..200_000u64,
    ) {
        let about = |loads: Vec<LoadObserved>| {
            Book::new(loads).about(&key(context * 2048), Bytes::new(said))
        };
        prop_assert_eq!(about(loads), about(shuffled));
    }

    #[test]
    fn noting_a_load_twice_is_noting_it_once(loads in prop::collection::vec(any_load(), 0..40)) {
        let mut twice = Book::new(loads.clone());
        let once = twice.clone();
        // The last of each key and time is what counts.
        let mut last = BTreeMap::new();
        for load in loads {
            last.insert((load.key.clone(), load.loaded), load);
        }
        let newest = last.into_values().filter(|load| !load.measured.is_zero());
        newest.for_each(|load| twice.note(load));
        for context in 1..8 {
            let about = |book: &Book| book.about(&key(context * 2048), Bytes::mib(1));
            prop_assert_eq!(about(&once), about(&twice));
        }
    }

    #[test]
    fn a_wild_load_among_steady_ones_moves_nothing(
        steady in prop::collection::vec(1_000_000..1_040_000u64, 4..20),
        wild in any::<u64>(),
    ) {
        let at = |(second, bytes): (usize, &u64)| LoadObserved {
            measured: Bytes::new(*bytes),
            ..load(4096, second as i64, (0, 0, 0))
        };
        let mut book = Book::new(steady.iter().enumerate().map(at));
        let before = book.about(&key(4096), Bytes::ZERO).unwrap();
        book.note(at((1000, &wild)));
        let after = book.about(&key(4096), Bytes::ZERO).unwrap();
        // A tenth of the middle is the furthest that counts, and one among five.
        let moved = before.mean.get().abs_diff(after.mean.get());
        prop_assert!(moved <= 1_140_000 / 10, "{moved} of {}", before.mean);
        prop_assert!(after.peak.get() <= 1_200_000);
    }

    #[test]
    fn a_machine_that_is_a_straight_line_is_learned_from_two_loads(
        (base, slope) in (100..100_000u64, 0..1_000u64),
        (first, apart) in (1..64u64, 1..64u64),
        asked in 0..200u64,
        missing in 60..140u64,
    ) {
        // The formulas miss a share of the whole, however large.
        let truth = |context: u64| (base + slope * context) * 1024;
        let said = |context: u64| Bytes::new(truth(context) * 100 / missing);
        let at = |context: u64| LoadObserved {
            estimated: Some(said(context)),
            measured: Bytes::new(truth(context)),
            ..load(context, context as i64, (0, 0, 0))
        };
        let book = Book::new([at(first), at(first + apart)]);
        let found = book.about(&key(asked), said(asked)).unwrap();
        if asked <= first + 2 * apart && asked + apart >= first {
            let off = found.mean.get().abs_diff(truth(asked));
            prop_assert!(off <= 2 + truth(asked) / 1_000_000, "{off} of {}", truth(asked));
        }
    }
}
