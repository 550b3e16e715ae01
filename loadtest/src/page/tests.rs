//! The page as a reader finds it.

use roxmltree::{Document, Node};

use super::*;
use crate::findings::Findings;
use crate::samples::{self, Drawn};

fn html(findings: &Findings) -> String {
    page(findings).expect("a page").into_string()
}

/// The body, which is well-formed as XML too: every element is closed, every `&` and `<` of a text is escaped.
fn body(html: &str) -> Document<'_> {
    let from = html.find("<body>").expect("a body");
    let to = html.rfind("</html>").expect("the end");
    Document::parse(&html[from..to]).unwrap_or_else(|problem| panic!("{problem}"))
}

fn all<'a>(body: &'a Document<'_>, name: &'static str) -> Vec<Node<'a, 'a>> {
    body.descendants().filter(|node| node.tag_name().name() == name).collect()
}

fn text(node: Node<'_, '_>) -> String {
    node.descendants().filter_map(|node| if node.is_text() { node.text() } else { None }).collect()
}

/// What a reader sees, without the styles.
fn shown(html: &str) -> String {
    text(body(html).root())
}

#[test]
fn every_finding_has_its_place() {
    let findings = samples::overload();
    let html = html(&findings);
    let body = body(&html);
    let titles: Vec<String> =
        all(&body, "svg").iter().map(|svg| svg.attribute("aria-label").unwrap_or("").into()).collect();
    for (title, times) in [
        ("Throughput over time", 4),
        ("Latency by percentile", 5),
        ("Latency over time", 4),
        ("Errors over time", 4),
        ("Latency by rate", 1),
    ] {
        assert_eq!(titles.iter().filter(|found| *found == title).count(), times, "{title}: {titles:?}");
    }
    let shown = shown(&html);
    for words in
        ["1 of 3 figures missed", "These findings are doubtful", "the generator lagged in 10 x", "14.2 us"]
    {
        assert!(shown.contains(words), "{words}");
    }
    for code in ["OVERLOADED", "HTTP 500", "timeout"] {
        assert!(shown.contains(code), "{code}");
    }
    assert_eq!(all(&body, "details").iter().filter(|part| part.attribute("open").is_some()).count(), 1);
}

#[test]
fn a_comparison_shows_ratios_and_curves_beside_each_other() {
    let html = html(&samples::comparison());
    let body = body(&html);
    let svg = |title| all(&body, "svg").into_iter().find(|svg| svg.attribute("aria-label") == Some(title));
    let ratios = text(svg("Ratios with their intervals").expect("ratios"));
    assert!(ratios.contains("p99 of B over A: 1.31") && ratios.contains("1.31 (1.12 to 1.54)"), "{ratios}");
    assert!(text(svg("Latency by percentile").expect("curves")).contains("round 3 of B"));
}

#[test]
fn it_asks_for_nothing_from_elsewhere() {
    let html = html(&samples::overload());
    for fetched in ["<script", "<link", "<img", "<iframe", "src=", "href=", "url(", "@import"] {
        assert!(!html.contains(fetched), "{fetched}");
    }
    assert!(html.contains("default-src 'none'") && html.contains("prefers-color-scheme:dark"));
    assert!(html.contains("width=device-width"));
}

#[test]
fn it_can_be_read_without_seeing_it() {
    let html = html(&samples::overload());
    let body = body(&html);
    for svg in all(&body, "svg") {
        assert_eq!(svg.attribute("role"), Some("img"));
        let said: Vec<&str> =
            svg.children().filter(Node::is_element).take(2).map(|node| node.tag_name().name()).collect();
        assert_eq!(said, ["title", "desc"]);
        assert!(!svg.children().any(|node| node.has_tag_name("desc") && text(node).is_empty()));
    }
    for table in all(&body, "table") {
        assert!(table.first_element_child().is_some_and(|first| first.has_tag_name("caption")));
        let width = |row: Node<'_, '_>| row.children().filter(Node::is_element).count();
        let widths: Vec<usize> =
            table.descendants().filter(|node| node.has_tag_name("tr")).map(width).collect();
        assert!(widths.iter().all(|width| *width == widths[0]), "{widths:?}");
    }
}

#[test]
fn plots_take_their_colours_from_the_theme_and_their_width_from_the_page() {
    let html = html(&samples::overload());
    for svg in all(&body(&html), "svg") {
        assert!(svg.attribute("width").is_none() && svg.attribute("viewBox").is_some());
        for node in svg.descendants() {
            for color in ["fill", "stroke"].into_iter().filter_map(|name| node.attribute(name)) {
                assert!(color == "none" || color.starts_with("var(--"), "{color}");
            }
        }
    }
}

#[test]
fn names_from_outside_are_text_and_nothing_else() {
    let mut findings = samples::comparison();
    let evil = "</title><script>alert('1')</script>&amp;\"\u{0}\u{1b}\u{ffff}<!-- ]]>";
    let stream = &mut findings.parts[0].streams[0];
    for text in [&mut stream.name, &mut stream.model, &mut stream.protocol, &mut stream.arrivals] {
        *text = evil.into();
    }
    stream.errors.insert(evil.into(), 7);
    stream.said.insert(evil.into(), evil.into());
    stream.over_time[0].errors.insert(evil.into(), 7);
    findings.parts[0].name = evil.into();
    findings.parts[0].target = Some(evil.into());
    findings.figures[0].name = evil.into();
    findings.figures[0].asked = Some(evil.into());
    findings.figures[1].unit = evil.into();
    findings.about.scenario = evil.into();
    findings.about.purpose = evil.into();
    findings.about.command = evil.into();
    findings.about.started_at = evil.into();
    findings.about.targets.insert(evil.into(), evil.into());
    findings.about.machine.processor = evil.into();
    findings.about.machine.system = evil.into();
    findings.doubts.push(evil.into());
    let html = html(&findings);
    assert!(!html.contains("<script") && !html.contains("<!-- ]]>"));
    let body = body(&html);
    assert!(all(&body, "script").is_empty());
    let as_it_is = "</title><script>alert('1')</script>&amp;\"\u{fffd}\u{fffd}\u{fffd}<!-- ]]>";
    assert!(shown(&html).matches(as_it_is).count() >= 15, "{}", shown(&html).matches(as_it_is).count());
}

#[test]
fn nothing_measured_is_a_page_without_numbers_that_are_none() {
    for findings in [samples::empty(), samples::nothing()] {
        let html = html(&findings);
        let shown = shown(&html);
        assert!(shown.contains("No figure was asked for"));
        for none in ["NaN", "inf"] {
            assert!(!html.contains(none), "{none}");
        }
        assert!(all(&body(&html), "svg").is_empty());
    }
}

#[test]
fn one_second_is_drawn() {
    let drawn = Drawn { name: "a", seconds: 1, rate: 50, refused: 0.1, failed: 0.1, median_us: 500.0 };
    let html = html(&Findings { parts: vec![drawn.part("short")], ..samples::nothing() });
    let body = body(&html);
    assert_eq!(all(&body, "svg").len(), 4);
    assert!(!all(&body, "circle").is_empty(), "a line of one point is a dot");
}

#[test]
fn three_hours_are_no_larger_than_minutes() {
    let sized = |seconds| {
        let drawn = Drawn { name: "a", seconds, rate: 20, refused: 0.1, failed: 0.01, median_us: 500.0 };
        html(&Findings { parts: vec![drawn.part("long")], ..samples::nothing() })
    };
    let (minutes, hours) = (sized(180), sized(10_800));
    assert!(hours.len() < 2 * minutes.len(), "{} and {}", minutes.len(), hours.len());
    assert!(shown(&hours).contains("Each column is 1 min"));
}

#[test]
fn many_parts_and_streams_stay_within_bounds() {
    let drawn = Drawn { name: "a", seconds: 3, rate: 30, refused: 0.0, failed: 0.1, median_us: 500.0 };
    let stream = drawn.stream();
    let streams: Vec<Stream> =
        (0..20).map(|n| Stream { name: format!("stream {n}"), ..stream.clone() }).collect();
    let part = |n| Part { name: format!("part {n}"), target: None, seconds: 3.0, streams: streams.clone() };
    let html = html(&Findings { parts: (0..60).map(part).collect(), ..samples::nothing() });
    let body = body(&html);
    let plots = |title| {
        all(&body, "svg").into_iter().filter(|svg| svg.attribute("aria-label") == Some(title)).count()
    };
    assert_eq!(plots("Throughput over time"), STREAMS_DRAWN_MAX);
    assert_eq!(plots("Latency by percentile"), STREAMS_DRAWN_MAX + SIDE_BY_SIDE_MAX);
    assert!(shown(&html).contains("1152 more are in the table above"));
    assert!(html.len() < 4 << 20, "{}", html.len());
}
