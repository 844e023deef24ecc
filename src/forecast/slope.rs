//! What a few dozen points say of a slope, whatever spikes are among them.
//!
//! Theil–Sen: the median of the slopes between every two points, which a
//! quarter of bad points does not move. Mann–Kendall: whether the points fall
//! (or rise) at all, by order alone.

/// A moment in seconds and the figure then.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    pub seconds: f64,
    pub figure: f64,
}

/// The line through points.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Slope {
    /// Figure a second.
    pub middle: f64,
    /// Between these lies the slope with 95 % confidence, were the points
    /// independent of one another.
    pub least: f64,
    pub most: f64,
}

/// Of a normal distribution: between plus and minus this lies 95 %.
const TWO_SIDED_95: f64 = 1.96;

/// Of a normal distribution: its standard deviation over its median absolute
/// deviation.
pub(super) const DEVIATION_PER_MEDIAN: f64 = 1.4826;

impl Slope {
    /// `None` of fewer than three points, or of points of one moment.
    pub(super) fn of(points: &[Point]) -> Option<Slope> {
        let mut slopes = Vec::with_capacity(points.len() * points.len().saturating_sub(1) / 2);
        for (at, later) in points.iter().enumerate() {
            for earlier in points.iter().take(at) {
                let run = later.seconds - earlier.seconds;
                if run > 0.0 {
                    slopes.push((later.figure - earlier.figure) / run);
                }
            }
        }
        if slopes.len() < 3 {
            return None;
        }
        slopes.sort_unstable_by(f64::total_cmp);
        // How many slopes the interval leaves out at each end.
        let outside = (slopes.len() as f64 - TWO_SIDED_95 * order_deviation(points.len())) / 2.0;
        let outside = (outside.max(0.0) as usize).min(slopes.len() / 2);
        Some(Slope {
            middle: median_of_sorted(&slopes)?,
            least: *slopes.get(outside)?,
            most: *slopes.get(slopes.len() - 1 - outside)?,
        })
    }

    /// The figure that a line of this slope through the midst of the points
    /// has at a moment.
    pub(super) fn at(&self, seconds: f64, points: &[Point]) -> Option<f64> {
        let carry = |point: &Point| point.figure + self.middle * (seconds - point.seconds);
        median(points.iter().map(carry).collect())
    }

    /// How far points lie off the line, as a standard deviation that spikes
    /// do not move.
    pub(super) fn scatter(&self, points: &[Point]) -> Option<f64> {
        let first = points.first()?;
        let centre = self.at(first.seconds, points)?;
        let off = |point: &Point| {
            (point.figure - centre - self.middle * (point.seconds - first.seconds)).abs()
        };
        Some(median(points.iter().map(off).collect())? * DEVIATION_PER_MEDIAN)
    }
}

/// Mann–Kendall's z: below −3 the points fall, but for one time in a thousand;
/// above 3 they rise.
pub(super) fn certainty(points: &[Point]) -> f64 {
    let mut order = 0i64;
    for (at, later) in points.iter().enumerate() {
        for earlier in points.iter().take(at) {
            order += i64::from(later.figure > earlier.figure);
            order -= i64::from(later.figure < earlier.figure);
        }
    }
    if order == 0 {
        return 0.0;
    }
    (order - order.signum()) as f64 / order_deviation(points.len())
}

/// Of the count of rises less falls, in points without an order. Ties are not
/// taken off: they make it less certain, never more.
fn order_deviation(count: usize) -> f64 {
    let n = count as f64;
    (n * (n - 1.0) * (2.0 * n + 5.0) / 18.0).sqrt()
}

/// `None` of none.
pub(super) fn median(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_unstable_by(f64::total_cmp);
    median_of_sorted(&figures)
}

fn median_of_sorted(figures: &[f64]) -> Option<f64> {
    let upper = *figures.get(figures.len() / 2)?;
    if figures.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = *figures.get(figures.len() / 2 - 1)?;
    Some(lower + (upper - lower) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(figure: impl Fn(f64) -> f64) -> Vec<Point> {
        (0..30).map(f64::from).map(|t| Point { seconds: t, figure: figure(t) }).collect()
    }

    #[test]
    fn a_line_is_found_as_it_is() {
        let line = points(|t| 100.0 - 2.0 * t);
        let slope = Slope::of(&line).unwrap();
        assert_eq!((slope.middle, slope.least, slope.most), (-2.0, -2.0, -2.0));
        assert!(certainty(&line) < -7.0);
        assert_eq!(slope.at(40.0, &line), Some(20.0));
        assert_eq!(slope.scatter(&line), Some(0.0));
    }

    #[test]
    fn a_fifth_of_wild_points_moves_nothing_far() {
        let wild = points(|t| 100.0 - 2.0 * t + if t % 5.0 == 3.0 { 900.0 } else { 0.0 });
        let slope = Slope::of(&wild).unwrap();
        assert!((slope.middle + 2.0).abs() < 0.5, "{slope:?}");
    }

    #[test]
    fn what_stands_still_has_no_certainty() {
        let still = points(|_| 7.0);
        assert_eq!((Slope::of(&still).unwrap().middle, certainty(&still)), (0.0, 0.0));
    }

    #[test]
    fn too_few_points_and_points_of_one_moment_say_nothing() {
        assert_eq!(Slope::of(&[]), None);
        assert_eq!(Slope::of(&points(|t| t)[..2]), None);
        let same = [Point { seconds: 1.0, figure: 1.0 }; 9];
        assert_eq!(Slope::of(&same), None);
    }
}
