//! What available memory does: a line of straight pieces and noise upon it.

/// MiB and seconds, as people think of them.
pub struct Scene {
    pub name: String,
    pub seconds: f64,
    /// Between samples.
    pub pace: f64,
    pub shape: Shape,
    /// Standard deviation of what comes and goes with each sample.
    pub noise: f64,
    /// Bursts of 100 to 400 MiB for some seconds, about so many an hour.
    pub bursts: f64,
}

/// What stands beneath the noise.
#[derive(Clone)]
pub enum Shape {
    /// Points of a line: from the first on, straight from each to the next.
    Line(Vec<(f64, f64)>),
    /// At these moments a line steps and the engine knows of it.
    Known(Vec<(f64, f64)>, Vec<f64>),
    /// A walk without aim around a level: MiB a step of a second.
    Walk { around: f64, step: f64 },
    /// Requests that take so much over so many seconds, and give it back.
    Requests { level: f64, takes: f64, over: f64, every: f64 },
    /// Each request keeps so much for good.
    Stairs { from: f64, after: f64, keeps: f64, every: f64 },
}

pub struct Sample {
    pub at: f64,
    pub available: f64,
    pub restarts: bool,
}

/// A small generator with a known sequence: the same scene each time.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        // Far apart: sequences of neighbouring seeds must not overlap.
        Dice(seed.wrapping_add(7).wrapping_mul(0xD6E8_FEB8_6659_FD93).rotate_left(29))
    }

    /// From 0 to 1.
    pub fn share(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn between(&mut self, least: f64, most: f64) -> f64 {
        least + (most - least) * self.share()
    }

    /// Of a normal distribution with deviation 1: near enough from twelve.
    pub fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.share()).sum::<f64>() - 6.0
    }
}

impl Scene {
    /// One sample a second, noise as on a busy desktop.
    pub fn new(name: impl Into<String>, minutes: f64, shape: Shape) -> Scene {
        Scene {
            name: name.into(),
            seconds: minutes * 60.0,
            pace: 1.0,
            shape,
            noise: 50.0,
            bursts: 30.0,
        }
    }

    /// The same without what else goes on.
    pub fn quiet(self) -> Scene {
        Scene { noise: 2.0, bursts: 0.0, ..self }
    }

    pub fn samples(&self, seed: u64) -> Vec<Sample> {
        let mut dice = Dice::new(seed);
        let base = self.base(&mut dice);
        let mut samples = Vec::new();
        let (mut at, mut last, mut burst) = (0.0, 0.0, (0.0, 0.0));
        while at < self.seconds {
            if dice.share() < self.bursts / 3600.0 * (at - last) {
                burst = (at + dice.between(2.0, 8.0), dice.between(100.0, 400.0));
            }
            let taken = if at < burst.0 { burst.1 } else { 0.0 };
            let restarts = match &self.shape {
                Shape::Known(_, steps) => steps.iter().any(|step| (last..at).contains(step)),
                _ => false,
            };
            let available = line(&base, at) - taken + dice.normal() * self.noise;
            samples.push(Sample { at, available, restarts });
            last = at;
            // Timers are late by a little.
            at += self.pace * dice.between(1.0, 1.04);
        }
        samples
    }

    /// When what is beneath the noise first meets a floor, where it has none
    /// of chance in it.
    pub fn meets(&self, floor: f64) -> Option<f64> {
        let (Shape::Line(points) | Shape::Known(points, _)) = &self.shape else {
            return match &self.shape {
                Shape::Stairs { from, after, keeps, every } => {
                    Some(after + (from - floor) / keeps * every)
                }
                _ => None,
            };
        };
        let pairs = points.windows(2);
        let crossing = |pair: &[(f64, f64)]| {
            let ((t0, y0), (t1, y1)) = (pair[0], pair[1]);
            (y0 > floor && y1 <= floor).then(|| t0 + (t1 - t0) * (y0 - floor) / (y0 - y1))
        };
        pairs.filter_map(crossing).next()
    }

    fn base(&self, dice: &mut Dice) -> Vec<(f64, f64)> {
        match &self.shape {
            Shape::Line(points) | Shape::Known(points, _) => points.clone(),
            Shape::Walk { around, step } => {
                let mut value = *around;
                (0..self.seconds as u64)
                    .map(|second| {
                        // Pulled back gently: a machine has a habit.
                        value += dice.normal() * step + (around - value) * 0.001;
                        (second as f64, value)
                    })
                    .collect()
            }
            Shape::Requests { level, takes, over, every } => {
                let mut points = vec![(0.0, *level)];
                let mut at = *every;
                while at < self.seconds {
                    let low = level - takes * dice.between(0.8, 1.2);
                    let holds = dice.between(0.0, 10.0);
                    let back = at + over + holds + dice.between(1.0, over.max(2.0));
                    points.extend([
                        (at, *level),
                        (at + over, low),
                        (at + over + holds, low),
                        (back, *level),
                    ]);
                    at = back + every * dice.between(0.3, 1.7);
                }
                points
            }
            Shape::Stairs { from, after, keeps, every } => {
                let (mut at, mut value) = (*after, *from);
                let mut points = vec![(0.0, value)];
                while at < self.seconds {
                    points.extend([(at, value), (at + 6.0, value - keeps)]);
                    value -= keeps;
                    at += every;
                }
                points
            }
        }
    }
}

fn line(points: &[(f64, f64)], at: f64) -> f64 {
    let next = points.partition_point(|(t, _)| *t <= at);
    match (next.checked_sub(1).map(|before| points[before]), points.get(next)) {
        (Some((t0, y0)), Some((t1, y1))) => y0 + (y1 - y0) * (at - t0) / (t1 - t0),
        (Some((_, value)), None) => value,
        (None, first) => first.map_or(0.0, |(_, value)| *value),
    }
}
