//! The few elements of SVG that charts consist of. Points are pairs of x and y.

type Point = (f64, f64);

/// Which part of a text stands at its point.
#[derive(Clone, Copy)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

pub(crate) fn document(width: f64, height: f64, style: &str, content: &str) -> String {
    let paper = rectangle("paper", (0.0, 0.0), (width, height));
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\">\n<style>{style}</style>\n{paper}{content}</svg>\n"
    )
}

pub(crate) fn shifted_down(by: f64, content: &str) -> String {
    format!("<g transform=\"translate(0 {by})\">\n{content}</g>\n")
}

pub(crate) fn rectangle(class: &str, (x, y): Point, (width, height): Point) -> String {
    format!(
        "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"/>\n"
    )
}

pub(crate) fn dot(class: &str, (x, y): Point) -> String {
    format!("<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"/>\n")
}

pub(crate) fn line(class: &str, points: &[Point]) -> String {
    let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    format!("<polyline class=\"{class}\" points=\"{}\"/>\n", points.join(" "))
}

pub(crate) fn text(class: &str, anchor: Anchor, (x, y): Point, content: &str) -> String {
    let anchor = match anchor {
        Anchor::Start => "start",
        Anchor::Middle => "middle",
        Anchor::End => "end",
    };
    let content = content.replace('&', "&amp;").replace('<', "&lt;");
    format!(
        "<text class=\"{class}\" text-anchor=\"{anchor}\" x=\"{x:.1}\" y=\"{y:.1}\">{content}</text>\n"
    )
}
