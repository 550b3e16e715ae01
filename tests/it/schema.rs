//! Requests against `schema.toml`: what is flagged is counted and answered, what is rejected is refused by every protocol,
//! and a schema that is edited counts at once.

use pointsman_core::InputTensor;
use pointsman_tests::{
    Answer, Gateway, OnnxModel, Pointsman, Start, TestRegistry, get, grpc, post, repository, request, v2,
    wait_for,
};
use serde_json::{Value, json};

const CONFIG: &str = "[shutdown]\ndrain_delay = \"0s\"\n[registry]\nsettle = \"0s\"\npoll = \"1s\"\n";

/// The shipped schema of flights.
fn schema() -> String {
    std::fs::read_to_string(repository().join("models/flights/schema.toml")).expect("a schema")
}

/// The champion of flights alone.
fn flights(schema: &str) -> TestRegistry {
    let model = std::fs::read(repository().join("models/flights/1/model.onnx")).expect("a model");
    let card = "[outputs.probabilities]\nlabels = [\"on_time\", \"late\"]\n";
    TestRegistry::new()
        .file("flights/1/model.onnx", model)
        .file("flights/model.toml", card)
        .file("flights/schema.toml", schema)
}

/// A flight of a July morning, with other values for some columns.
fn flight(other: &[(&str, Value)]) -> Value {
    let number = |name: &str, value: f64| (name.to_owned(), json!(value));
    let text = |name: &str, value: &str| (name.to_owned(), json!(value));
    let mut columns = vec![
        number("hour", 9.0),
        number("distance", 1400.0),
        number("temp", 80.06),
        number("dewp", 66.02),
        number("humid", 62.3),
        number("wind_speed", 9.2),
        number("precip", 0.0),
        number("pressure", 1014.2),
        number("visib", 10.0),
        text("origin", "EWR"),
        text("carrier", "UA"),
    ];
    for (name, value) in other {
        columns.iter_mut().filter(|(column, _)| column == name).for_each(|(_, known)| *known = value.clone());
    }
    let input = |(name, value): &(String, Value)| {
        let datatype = if value.is_string() { "BYTES" } else { "FP32" };
        json!({"name": name, "shape": [1, 1], "datatype": datatype, "data": [value]})
    };
    json!({ "inputs": columns.iter().map(input).collect::<Vec<_>>() })
}

fn ask(gateway: &Gateway, flight: &Value) -> Answer {
    // NaN is a token, and no text.
    let body = flight.to_string().replace("\"@NaN\"", "NaN");
    post(gateway.http, "/v2/models/flights/infer", body)
}

/// What is known of the model's only version, once so many requests were counted: that is after they are answered.
fn counted(gateway: &Gateway, model: &str, requests: u64) -> Value {
    wait_for("the requests to be counted", || {
        let answer = get(gateway.admin, &format!("/v1/schema/{model}"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        let version = answer.json()["versions"][0].clone();
        (version["requests"] == requests).then_some(version)
    })
}

/// Values that broke a rule.
fn broken(version: &Value, column: &str, code: &str) -> u64 {
    let rules = version["rules"].as_array().expect("rules").iter();
    let mut of = rules.filter(|rule| rule["column"] == column && rule["code"] == code);
    of.next().unwrap_or_else(|| panic!("no {code} of {column}: {version:#}"))["values"]
        .as_u64()
        .expect("a count")
}

#[test]
fn a_flagged_value_is_answered_counted_and_shown() {
    let registry = flights(&schema());
    let gateway = Start::over(registry.path()).config(CONFIG).start();
    assert_eq!(ask(&gateway, &flight(&[])).status, 200);
    let clean = counted(&gateway, "flights", 1);
    assert_eq!((&clean["flagged"], &clean["rejected"]), (&json!(0), &json!(0)), "{clean:#}");
    // 26.7 degrees Celsius are 80 Fahrenheit. The air is never colder than its dew point.
    assert_eq!(ask(&gateway, &flight(&[("temp", json!(26.7))])).status, 200);
    let celsius = counted(&gateway, "flights", 2);
    assert_eq!(broken(&celsius, "dewp", "FLOAT_TYPE_ABOVE_OTHER_FEATURE"), 1);
    // A category that training never saw, a constant, and a number that is missing.
    for other in
        [("carrier", json!("ZZ")), ("distance", json!(0)), ("distance", json!(0)), ("hour", json!("@NaN"))]
    {
        let mut flight = flight(&[other]);
        flight["inputs"].as_array_mut().expect("inputs")[0]["datatype"] = json!("FP32");
        let answer = ask(&gateway, &flight);
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let version = counted(&gateway, "flights", 6);
    assert_eq!(broken(&version, "carrier", "ENUM_TYPE_UNEXPECTED_STRING_VALUES"), 1);
    assert_eq!(broken(&version, "distance", "FLOAT_TYPE_SMALL_FLOAT"), 2);
    assert_eq!(broken(&version, "hour", "FEATURE_TYPE_NOT_PRESENT"), 1);
    assert_eq!((&version["flagged"], &version["rejected"]), (&json!(5), &json!(0)));
    assert_eq!(version["event_times"], json!({"absent": 6, "malformed": 0}));
    let labels = "model=\"flights\",version=\"1\",origin=\"input\",column=\"distance\",code=\"FLOAT_TYPE_SMALL_FLOAT\"";
    assert_eq!(gateway.metric("pointsman_schema_violations_total", labels), 2.0);
    assert_eq!(gateway.metric("pointsman_schema_requests_total", "result=\"flagged\""), 5.0);
    assert_eq!(gateway.metric("pointsman_event_times_unusable_total", "reason=\"absent\""), 6.0);

    let admin = format!("http://{}", gateway.admin);
    let command = |arguments: &[&str]| Pointsman::new([arguments, &["--admin-url", &admin]].concat()).run();
    let shown = command(&["schema", "flights"]);
    assert_eq!(shown.code, Some(0), "{shown:?}");
    assert!(shown.stdout.contains("6 requests, 5 flagged, 0 rejected\n"), "{}", shown.stdout);
    assert!(shown.stdout.contains("event times: 6 absent, 0 malformed\n"), "{}", shown.stdout);
    let line = shown.stdout.lines().find(|line| line.contains("not above temp")).expect("the rule");
    let cells: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(cells[..3], ["input", "dewp", "float"]);
    assert_eq!(cells[6..], ["flag", "1", "1", "FLOAT_TYPE_ABOVE_OTHER_FEATURE"]);
    assert!(command(&["schema"]).stdout.contains("flights  1"));
    let json: Value = serde_json::from_str(&command(&["schema", "flights", "--json"]).stdout).expect("JSON");
    assert_eq!(json["versions"][0]["flagged"], 5);
    let unknown = command(&["schema", "planes"]);
    assert!(
        unknown.code == Some(1) && unknown.stderr.contains("no version of model 'planes'"),
        "{unknown:?}"
    );
    assert_eq!(request("POST", gateway.admin, "/v1/schema", &[], None).status, 405);
    assert_eq!(get(gateway.admin, "/v1/schema/flights/1").status, 404);
}

#[test]
fn a_rejected_value_is_refused_over_rest_and_grpc_and_told_as_far_as_it_may_be() {
    let strict = schema().replace("domain = \"flag\"\nlog = \"keep\"", "domain = \"reject\"");
    let registry = flights(&strict);
    let gateway = Start::over(registry.path()).config(CONFIG).start();
    let refused = |flight: &Value| {
        let answer = ask(&gateway, flight);
        assert_eq!(answer.status, 400, "{}", answer.text());
        let (text, code) = answer.error();
        assert_eq!(code, "INPUT_MISMATCH");
        text
    };
    let late = refused(&flight(&[("hour", json!(25.0))]));
    let expected = "the value 25 of input column 'hour' in row 0 breaks the schema of model 'flights': it is above the \
                    maximum, 23 (FLOAT_TYPE_BIG_FLOAT)";
    assert!(late.contains(expected), "{late}");
    // What nobody lets the log have, callers and their logs do not get back.
    let unknown = refused(&flight(&[("carrier", json!("secret"))]));
    assert!(unknown.contains("'carrier' in row 0") && !unknown.contains("secret"), "{unknown}");
    // A number that has become a text is another datatype.
    let text = refused(&flight(&[("temp", json!("80.06"))]));
    assert!(text.contains("inference input 'temp' data-type is 'BYTES'"), "{text}");

    let of = |name: &str, tensor| InputTensor { name: name.into(), tensor };
    let numbers = ["hour", "distance", "temp", "dewp", "humid", "wind_speed", "precip", "pressure", "visib"];
    let inputs = |rows: &[f32]| -> Vec<InputTensor> {
        let shape = [rows.len() as u64, 1];
        let texts = |value: &'static [u8]| v2::strings(&shape, &vec![value; rows.len()]);
        let numbers = numbers.iter().map(|name| of(name, v2::tensor(&shape, rows)));
        numbers.chain([of("origin", texts(b"EWR")), of("carrier", texts(b"UA"))]).collect()
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let infer = |rows: &[f32]| {
        let request = grpc::raw_request("flights", &inputs(rows));
        runtime.block_on(async { grpc::client(gateway.grpc).await.model_infer(request).await })
    };
    let status = infer(&[20.0, f32::INFINITY]).expect_err("refused");
    assert_eq!(status.code(), tonic::Code::InvalidArgument);
    let code = status.metadata().get("pointsman-code").map(|code| code.to_str().expect("text"));
    assert_eq!(code, Some("INPUT_MISMATCH"));
    assert!(
        status.message().contains("the value inf of input column 'hour' in row 1"),
        "{}",
        status.message()
    );
    assert!(infer(&[20.0, 21.0]).is_ok());
    // Of no rows nothing can be wrong.
    infer(&[]).expect("zero rows");
    // The one of another datatype has never come to the schema.
    let version = counted(&gateway, "flights", 5);
    assert_eq!(version["rejected"], 3, "{version:#}");
    assert_eq!(gateway.metric("pointsman_schema_requests_total", "result=\"rejected\""), 3.0);
    let labels = "code=\"ENUM_TYPE_UNEXPECTED_STRING_VALUES\",action=\"reject\"";
    assert_eq!(gateway.metric("pointsman_schema_violations_total", labels), 1.0);
}

#[test]
fn an_edited_schema_counts_at_once_and_a_bad_one_changes_nothing() {
    let registry = flights("[inputs.hour]\nmax = 8.0\n");
    let gateway = Start::over(registry.path()).config(CONFIG).start();
    let write = |text: &str| std::fs::write(registry.join("flights/schema.toml"), text).expect("written");
    assert_eq!(ask(&gateway, &flight(&[])).status, 200);
    assert_eq!(counted(&gateway, "flights", 1)["flagged"], 1);
    write("[inputs.hour]\nmax = 8.0\nrange = \"reject\"\n");
    wait_for("the stricter schema", || (ask(&gateway, &flight(&[])).status == 400).then_some(()));
    // It is told, and what served goes on.
    write("[inputs.hour]\nmax = \"noon\"\n");
    let problem = wait_for("the problem to be told", || {
        let models = get(gateway.admin, "/models").json();
        let problem = models["models"][0]["problem"].as_str().unwrap_or_default().to_owned();
        problem.contains("schema.toml").then_some(problem)
    });
    assert!(problem.contains("key inputs.hour.max = \"noon\"; give a number"), "{problem}");
    assert_eq!(ask(&gateway, &flight(&[])).status, 400);
    assert_eq!(ask(&gateway, &flight(&[("hour", json!(7.0))])).status, 200);
    // An empty schema has no rules.
    write("");
    wait_for("no rules", || (ask(&gateway, &flight(&[])).status == 200).then_some(()));
    let version = get(gateway.admin, "/v1/schema/flights").json()["versions"][0].clone();
    assert_eq!((&version["rules"], version["schema"].is_null()), (&json!([]), false));
    // One that vanishes takes nothing back, as a card does not.
    write("[inputs.hour]\nmax = 8.0\nrange = \"reject\"\n");
    wait_for("rules again", || (ask(&gateway, &flight(&[])).status == 400).then_some(()));
    std::fs::remove_file(registry.join("flights/schema.toml")).expect("removed");
    let looks = || gateway.metric("pointsman_registry_looked_at_seconds", "");
    let since = looks();
    wait_for("looks at the registry", || (looks() > since + 1.0).then_some(()));
    assert_eq!(ask(&gateway, &flight(&[])).status, 400);
    // Each of the four good ones was loaded once.
    assert_eq!(gateway.metric("pointsman_loads_total", "model=\"flights\",result=\"passed\""), 4.0);
}

#[test]
fn a_bad_schema_keeps_a_model_from_serving_and_an_unfit_rule_is_a_warning() {
    let registry = flights("[inputs.tmp]\nmin = 1\n[inputs.carrier]\ntype = \"int\"\n")
        .version("planes", 1, "flights_champion")
        .file("planes/schema.toml", "[inputs.hour]\nrange = \"forbid\"\n");
    let gateway = Start::over(registry.path()).config(CONFIG).start();
    let models = get(gateway.admin, "/models").json();
    let of = |name: &str| {
        let mut models = models["models"].as_array().expect("models").iter();
        models.find(|model| model["name"] == name).expect("the model").clone()
    };
    let problem = of("planes")["problem"].as_str().expect("a problem").to_owned();
    let expected =
        "planes/schema.toml: key inputs.hour.range = \"forbid\"; give one of \"off\", \"flag\", \"reject\"";
    assert!(problem.contains(expected), "{problem}");
    let warnings = of("flights")["versions"][0]["findings"]["warnings"].to_string();
    for said in [
        "flights/schema.toml: inputs.tmp is no column of this version; they are hour, ",
        "flights/schema.toml: inputs.carrier.type = \\\"int\\\", and here it is \\\"string\\\"",
    ] {
        assert!(warnings.contains(said), "{warnings}");
    }
    let checked = Pointsman::new(["check", registry.path().to_str().expect("UTF-8")]).run();
    assert!(checked.code == Some(1) && checked.stdout.contains(expected), "{checked:?}");
}

#[test]
fn odd_numbers_in_answers_are_counted_with_the_first_example() {
    let fp32 = pointsman_core::Datatype::Fp32;
    let model = OnnxModel::new().input("a", fp32, &[-1, 1]).input("b", fp32, &[-1, 1]);
    let divide = model.node("Div", &["a", "b"], "y").output("y", fp32, &[-1, 1]).bytes();
    let hidden = "[inputs.b]\nlog = \"drop\"\n[outputs.y]\nmissing = \"flag\"\nmax = 100\n";
    let registry = TestRegistry::new().file("divide/1/model.onnx", divide).file("divide/schema.toml", hidden);
    let gateway = Start::over(registry.path()).config(CONFIG).start();
    let ask = |a: &[f64], b: &[f64]| {
        let input = |name: &str, data: &[f64]| json!({"name": name, "shape": [data.len(), 1], "datatype": "FP32", "data": data});
        let body = json!({"inputs": [input("a", a), input("b", b)]}).to_string();
        let answer = post(gateway.http, "/v2/models/divide/infer", body);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.header("pointsman-request-id").expect("an id").to_owned()
    };
    ask(&[1.0, 2.0], &[1.0, 2.0]);
    let first = ask(&[1.0, 3.0, 0.0], &[1.0, 0.0, 0.0]);
    ask(&[0.0, 2e-38, 1000.0], &[0.0, 100.0, 1.0]);
    let version = counted(&gateway, "divide", 3);
    let expected = json!({"output": "y", "nan": 2, "inf": 1, "subnormal": 1, "overflow": 1});
    assert_eq!(version["outputs"], json!([expected]), "{version:#}");
    let examples = version["examples"].as_array().expect("examples");
    let nan = &examples[0];
    assert_eq!((&nan["fault"], &nan["request_id"], &nan["index"]), (&json!("nan"), &json!(first), &json!(2)));
    // Its row, without what the schema withholds.
    assert_eq!((&nan["inputs"], &nan["withheld"]), (&json!({"a": 0.0}), &json!(1)));
    assert_eq!((&examples[1]["fault"], &examples[1]["inputs"]), (&json!("inf"), &json!({"a": 3.0})));
    assert_eq!(examples.len(), 4);
    // The schema speaks of outputs as well, and refuses none.
    assert_eq!(broken(&version, "y", "FLOAT_TYPE_HAS_NAN"), 2);
    assert_eq!(broken(&version, "y", "FLOAT_TYPE_BIG_FLOAT"), 2);
    let overflowed = gateway.metric("pointsman_output_faults_total", "output=\"y\",fault=\"overflow\"");
    assert_eq!(overflowed, 1.0);
    let admin = format!("http://{}", gateway.admin);
    let shown = Pointsman::new(["schema", "divide", "--admin-url", &admin]).run();
    assert!(
        shown.stdout.contains(&format!("first nan in y at element 2: request {first} of ")),
        "{}",
        shown.stdout
    );
}

#[test]
fn times_of_examples_that_cannot_be_read_are_counted() {
    let registry = flights("event_time = true\n");
    let gateway = Start::over(registry.path()).config(CONFIG).start();
    for (requests, time) in
        (1..).zip([json!("2013-07-01T13:00:00Z"), json!("yesterday"), json!(1_372_683_600)])
    {
        let mut flight = flight(&[]);
        flight["parameters"] = json!({ "event_time": time });
        assert_eq!(ask(&gateway, &flight).status, 200);
        counted(&gateway, "flights", requests);
    }
    assert_eq!(counted(&gateway, "flights", 3)["event_times"], json!({"absent": 0, "malformed": 2}));
    assert_eq!(gateway.metric("pointsman_event_times_unusable_total", "reason=\"malformed\""), 2.0);
}

#[test]
fn shipped_schemas_are_good_and_let_their_golden_cases_through() {
    for model in ["flights", "iris", "digits"] {
        let file = format!("{model}/schema.toml");
        let text = std::fs::read(repository().join("models").join(&file)).expect("a schema");
        let schema = pointsman_registry::read_schema(&file, &text)
            .unwrap_or_else(|problems| panic!("{}", problems[0]));
        assert!(!schema.inputs.is_empty() && schema.digest.len() == 64);
        // Written anew it says the same.
        let again = pointsman_registry::schema_text(&schema);
        let again = pointsman_registry::read_schema(&file, again.as_bytes()).expect("a good one");
        assert_eq!((&again.inputs, &again.outputs), (&schema.inputs, &schema.outputs), "{model}");
    }
    let gateway = Start::over(repository().join("models")).config(CONFIG).start();
    for model in ["iris", "digits"] {
        let path = format!("models/{model}/1/golden.json");
        let golden: Value =
            serde_json::from_slice(&std::fs::read(repository().join(path)).expect("cases")).expect("JSON");
        let cases = golden["cases"].as_array().expect("cases");
        for case in cases {
            let answer =
                post(gateway.http, &format!("/v2/models/{model}/infer"), case["request"].to_string());
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        let versions = wait_for("the cases to be counted", || {
            let versions = get(gateway.admin, &format!("/v1/schema/{model}")).json()["versions"].clone();
            let versions = versions.as_array().expect("versions").clone();
            let requests: u64 = versions.iter().filter_map(|of| of["requests"].as_u64()).sum();
            (requests == cases.len() as u64).then_some(versions)
        });
        let flagged: u64 = versions.iter().filter_map(|of| of["flagged"].as_u64()).sum();
        assert_eq!(flagged, 0, "{model}: {versions:#?}");
    }
}
