//! Charts as SVG: panels one below the other, with bars or lines for every server.
//!
//! A chart brings its own background and follows the reader's choice of light or dark. It knows no measurement: a panel
//! is given its titles, categories and figures.

use crate::figures::shown_briefly;
use crate::svg::{self, Anchor};

/// A picture in a file of its own.
pub(crate) struct Chart {
    pub(crate) file: &'static str,
    pub(crate) panels: Vec<Panel>,
}

/// One pair of axes. The title names the unit of the figures.
pub(crate) struct Panel {
    pub(crate) title: String,
    /// What the categories are.
    pub(crate) across: &'static str,
    pub(crate) categories: Vec<String>,
    pub(crate) series: Vec<Series>,
    pub(crate) shape: Shape,
}

/// A server's figures, one per category; where there is none it is no number, and nothing is drawn.
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) figures: Vec<f64>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Bars,
    Lines,
    LogarithmicLines,
}

const WIDTH: f64 = 880.0;
const LEGEND_HEIGHT: f64 = 44.0;
const LEGEND_STEP: f64 = 130.0;
const PANEL_HEIGHT: f64 = 280.0;
/// The axes' place within a panel.
const LEFT: f64 = 70.0;
const RIGHT: f64 = WIDTH - 20.0;
const TOP: f64 = 36.0;
const BOTTOM: f64 = PANEL_HEIGHT - 52.0;
/// The part of a category's width that its bars fill.
const BARS_PART: f64 = 0.8;
/// A narrower bar has no room for its figure.
const LABELLED_BAR: f64 = 22.0;

/// Colours that differ for colour-blind eyes as well, on light and dark ground.
const STYLE: &str = "\
text{font:12px system-ui,sans-serif;fill:#24292f}.title{font-weight:600;font-size:13px}.small{font-size:10px}\
rect,circle{fill:currentColor}polyline{fill:none}.line{stroke:currentColor;stroke-width:2}\
.paper{fill:#fff}.grid{stroke:#d8dee4}.axis{stroke:#57606a}\
.s0{color:#d55e00}.s1{color:#56b4e9}.s2{color:#0072b2}.s3{color:#009e73}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.paper{fill:#0d1117}.grid{stroke:#30363d}.axis{stroke:#8b949e}\
.s2{color:#4c8dd6}}";

impl Chart {
    pub(crate) fn svg(&self) -> String {
        let height = LEGEND_HEIGHT + PANEL_HEIGHT * self.panels.len() as f64;
        let legend: String = self.panels.first().map(Panel::legend).unwrap_or_default();
        let panels = self.panels.iter().enumerate().map(|(place, panel)| {
            svg::shifted_down(LEGEND_HEIGHT + PANEL_HEIGHT * place as f64, &panel.svg())
        });
        svg::document(WIDTH, height, STYLE, &(legend + &panels.collect::<String>()))
    }
}

impl Panel {
    /// What the colours stand for.
    fn legend(&self) -> String {
        let names = self.series.iter().enumerate().map(|(number, series)| {
            let x = LEFT + LEGEND_STEP * number as f64;
            svg::rectangle(&colour(number), (x, 16.0), (12.0, 12.0))
                + &svg::text("", Anchor::Start, (x + 18.0, 26.0), &series.name)
        });
        names.collect()
    }

    fn svg(&self) -> String {
        let axis = self.axis();
        let series = self.series.iter().enumerate().map(|(number, series)| match self.shape {
            Shape::Bars => self.bars(number, series, &axis),
            Shape::Lines | Shape::LogarithmicLines => self.line(number, series, &axis),
        });
        self.titles() + &axis.svg() + &series.collect::<String>()
    }

    fn titles(&self) -> String {
        let categories = self.categories.iter().enumerate().map(|(place, category)| {
            svg::text("", Anchor::Middle, (self.middle_of(place), BOTTOM + 18.0), category)
        });
        let across = (f64::midpoint(LEFT, RIGHT), BOTTOM + 38.0);
        svg::text("title", Anchor::Start, (LEFT, 20.0), &self.title)
            + &categories.collect::<String>()
            + &svg::text("small", Anchor::Middle, across, self.across)
    }

    fn axis(&self) -> Axis {
        let figures = || self.series.iter().flat_map(|series| series.figures.iter().copied());
        let most = figures().fold(0.0, f64::max);
        match self.shape {
            Shape::Bars | Shape::Lines => Axis::linear(most),
            Shape::LogarithmicLines => Axis::logarithmic(figures().fold(most, f64::min), most),
        }
    }

    fn category_width(&self) -> f64 {
        (RIGHT - LEFT) / self.categories.len() as f64
    }

    fn middle_of(&self, category: usize) -> f64 {
        LEFT + self.category_width() * (category as f64 + 0.5)
    }

    /// Every server has a bar in each category, next to each other.
    fn bars(&self, number: usize, series: &Series, axis: &Axis) -> String {
        let servers = self.series.len() as f64;
        let width = self.category_width() * BARS_PART / servers;
        let bars = series.figures.iter().enumerate().map(|(place, &figure)| {
            if figure.is_nan() {
                return String::new();
            }
            let x = self.middle_of(place) + width * (number as f64 - servers / 2.0);
            let y = axis.y(figure);
            let bar = svg::rectangle(&colour(number), (x, y), (width - 1.0, BOTTOM - y));
            if width < LABELLED_BAR {
                return bar;
            }
            let above = (x + width / 2.0, y - 4.0);
            bar + &svg::text("small", Anchor::Middle, above, &shown_briefly(figure))
        });
        bars.collect()
    }

    fn line(&self, number: usize, series: &Series, axis: &Axis) -> String {
        let points = series.figures.iter().enumerate().filter(|(_, figure)| !figure.is_nan());
        let points: Vec<_> =
            points.map(|(place, &figure)| (self.middle_of(place), axis.y(figure))).collect();
        let dots = points.iter().map(|&point| svg::dot(&colour(number), point));
        svg::line(&format!("{} line", colour(number)), &points) + &dots.collect::<String>()
    }
}

/// The class of a server's colour.
fn colour(number: usize) -> String {
    format!("s{number}")
}

/// The upright axis: from which figure to which it reaches, and where it is marked.
struct Axis {
    from: f64,
    to: f64,
    marks: Vec<f64>,
    logarithmic: bool,
}

impl Axis {
    /// From 0 to a round number above `most`.
    fn linear(most: f64) -> Self {
        let step = round_step(most / 5.0);
        let steps = (most / step).ceil().max(1.0);
        let marks = (0..=steps as u32).map(|number| f64::from(number) * step).collect();
        Axis { from: 0.0, to: steps * step, marks, logarithmic: false }
    }

    /// From one power of ten to another.
    fn logarithmic(least: f64, most: f64) -> Self {
        let lowest = least.log10().floor() as i32;
        let highest = (most.log10().ceil() as i32).max(lowest + 1);
        let marks: Vec<f64> = (lowest..=highest).map(|power| 10_f64.powi(power)).collect();
        Axis { from: marks[0], to: marks[marks.len() - 1], marks, logarithmic: true }
    }

    /// The height of a figure within a panel.
    fn y(&self, figure: f64) -> f64 {
        let part = if self.logarithmic {
            (figure / self.from).ln() / (self.to / self.from).ln()
        } else {
            (figure - self.from) / (self.to - self.from)
        };
        BOTTOM - (BOTTOM - TOP) * part
    }

    fn svg(&self) -> String {
        let marks = self.marks.iter().enumerate().map(|(place, &mark)| {
            let y = self.y(mark);
            let class = if place == 0 { "axis" } else { "grid" };
            svg::line(class, &[(LEFT, y), (RIGHT, y)])
                + &svg::text("", Anchor::End, (LEFT - 8.0, y + 4.0), &shown_briefly(mark))
        });
        marks.collect()
    }
}

/// The next of 1, 2, 5, 10, 20, 50 and so on, in either direction.
fn round_step(least: f64) -> f64 {
    if least <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(least.log10().floor());
    let steps = [1.0, 2.0, 5.0].map(|step| step * power);
    steps.into_iter().find(|step| *step >= least).unwrap_or(power * 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_close(figure: f64, expected: f64) {
        assert!((figure - expected).abs() < 1e-6, "{figure} is not {expected}");
    }

    fn panel(shape: Shape, series: &[&[f64]]) -> Panel {
        let series =
            series.iter().map(|figures| Series { name: "a < b".into(), figures: figures.to_vec() });
        Panel {
            title: "CPU, µs".into(),
            across: "commands",
            categories: vec!["GET".into(), "SET".into()],
            series: series.collect(),
            shape,
        }
    }

    #[test]
    fn steps_are_round_numbers_above_what_is_needed() {
        for (least, step) in
            [(0.9, 1.0), (1.0, 1.0), (1.1, 2.0), (3.0, 5.0), (0.06, 0.1), (70.0, 100.0)]
        {
            assert_close(round_step(least), step);
        }
        assert_close(round_step(0.0), 1.0);
    }

    #[test]
    fn a_linear_axis_reaches_from_nothing_beyond_the_most() {
        let axis = Axis::linear(8.7);
        assert_close(axis.to, 10.0);
        assert_eq!(axis.marks.len(), 6);
        assert_close(axis.y(0.0), BOTTOM);
        assert_close(axis.y(10.0), TOP);
        assert_close(axis.y(5.0), f64::midpoint(TOP, BOTTOM));
    }

    #[test]
    fn a_logarithmic_axis_reaches_between_powers_of_ten() {
        let axis = Axis::logarithmic(0.03, 40.0);
        assert_close(axis.from, 0.01);
        assert_close(axis.to, 100.0);
        assert_close(axis.y(0.01), BOTTOM);
        assert_close(axis.y(1.0), f64::midpoint(TOP, BOTTOM));
        assert_close(axis.y(100.0), TOP);
    }

    #[test]
    fn bars_of_a_category_stand_around_its_middle() {
        let panel = panel(Shape::Bars, &[&[1.0, 2.0], &[3.0, 4.0]]);
        let axis = panel.axis();
        let left = |number: usize| {
            let svg = panel.bars(number, &panel.series[number], &axis);
            let x = svg.split("x=\"").nth(1).unwrap().split('"').next().unwrap();
            x.parse::<f64>().unwrap()
        };
        let width = panel.category_width() * BARS_PART / 2.0;
        assert_close(left(0), panel.middle_of(0) - width);
        assert_close(left(1), panel.middle_of(0));
    }

    #[test]
    fn what_is_no_number_is_not_drawn() {
        for shape in [Shape::Bars, Shape::Lines, Shape::LogarithmicLines] {
            let panels = vec![panel(shape, &[&[f64::NAN, f64::NAN], &[0.5, f64::NAN]])];
            let svg = Chart { file: "chart.svg", panels }.svg();
            assert!(!svg.contains("NaN"), "{svg}");
        }
    }

    #[test]
    fn a_chart_is_well_formed() {
        let panels = vec![
            panel(Shape::Bars, &[&[1.0, 2.0]]),
            panel(Shape::Lines, &[&[1.0, 2.0]]),
            panel(Shape::LogarithmicLines, &[&[0.1, 20.0]]),
        ];
        let svg = Chart { file: "chart.svg", panels }.svg();
        assert_eq!(svg.matches("<g ").count(), 3);
        assert_eq!(svg.matches("<text").count(), svg.matches("</text>").count());
        assert!(svg.contains("a &lt; b"), "{svg}");
        assert!(!svg.contains("NaN"), "{svg}");
    }
}
