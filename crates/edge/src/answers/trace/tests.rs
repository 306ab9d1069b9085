use super::*;

#[track_caller]
fn is(text: &str, expected: &str) {
    for standing in [Standing::Error, Standing::Success] {
        assert_eq!(find(text.as_bytes(), Wrapping::Plain, standing), Some(expected), "{text}");
    }
}

#[track_caller]
fn none(text: &str, wrapping: Wrapping) {
    assert_eq!(find(text.as_bytes(), wrapping, Standing::Success), None, "{text}");
}

#[test]
fn heads_are_found_with_and_without_vector_instructions() {
    let patterns = ANCHORS.iter().map(|(_, text)| text);
    let automaton = AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(patterns).unwrap();
    let automaton = Heads::Automaton(Some(automaton));
    for (number, (_, anchor)) in ANCHORS.iter().enumerate() {
        let text = format!("{}{anchor}, and more", "a".repeat(number * 7));
        for heads in [&*HEADS, &automaton] {
            let hit = heads.next(text.as_bytes(), 0).unwrap();
            assert_eq!(hit.start(), number * 7, "{anchor}");
            assert_eq!(heads.next(text.as_bytes(), text.len()), None);
        }
    }
}

#[test]
fn traces_of_each_kind_are_found() {
    is("Traceback (most recent call last):\n  File \"/srv/a.py\", line 3, in f\n    g()\nKeyError: 'x'", "Python");
    is(
        "java.lang.IllegalStateException: no\n\tat com.example.A.b(A.java:17)\n\tat com.example.M.main(M.java:3)",
        "Java",
    );
    is("Exception in thread \"main\" kotlin.KotlinNullPointerException\n\tat a.b.CKt.main(C.kt:4)", "Java");
    is(
        "System.NullReferenceException: Object reference not set\n   at Shop.Cart.Total() in C:\\shop\\Cart.cs:line 12",
        ".NET",
    );
    is(
        "[HttpException (0x80004005): no]\n   System.Web.HttpException: x\n   at System.Web.A.B(String c) +12\n   at System.Web.D.E() +4",
        ".NET",
    );
    is(
        "PHP Fatal error:  Uncaught Error: no in /var/www/a.php:3\nStack trace:\n#0 /var/www/b.php(4): f()\n#1 {main}",
        "PHP",
    );
    is("\nWarning: mysqli_connect(): refused in /var/www/html/a.php on line 9\n", "PHP");
    is("app/models/cart.rb:3:in `total'\napp/main.rb:9:in `<main>'", "Ruby");
    is("NoMethodError (undefined method 'x' for nil):\n\napp/a.rb:3:in 'Cart#total'", "Ruby");
    is("TypeError: x is not a function\n    at total (/srv/app/cart.js:3:9)\n    at node:internal/x:1:2", "Node.js");
    is("ReferenceError: y\n    at file:///srv/app/a.mjs:3:1", "Node.js");
    is("panic: runtime error\n\ngoroutine 1 [running]:\nmain.main()\n\t/srv/app/main.go:7 +0x1d", "Go");
    is("thread 'main' panicked at src/main.rs:3:5:\nindex out of bounds", "Rust");
    is("thread 'tokio-runtime-worker' panicked at 'oh no', src/a.rs:3:5", "Rust");
    is("PDOException: SQLSTATE[42000]: Syntax error", "a database");
    is("{\"message\": \"SQLSTATE[42000]: Syntax error\"}", "a database");
}

#[test]
fn mark_up_and_escapes_hide_nothing() {
    let html =
        "<pre>Traceback (most recent call last):\n  File &quot;<b>/srv/a.py</b>&quot;, line <i>3</i>, in f</pre>";
    assert_eq!(find(html.as_bytes(), Wrapping::Markup, Standing::Success), Some("Python"));
    let html = "<br />\n<b>Fatal error</b>:  Uncaught x in <b>/var/www/a.php</b> on line <b>3</b><br />";
    assert_eq!(find(html.as_bytes(), Wrapping::Markup, Standing::Success), Some("PHP"));
    let html = "<h1>Error</h1><pre>TypeError: no<br> &nbsp; &nbsp;at f (/srv/a.js:3:9)<br> &nbsp; &nbsp;at g</pre>";
    assert_eq!(find(html.as_bytes(), Wrapping::Markup, Standing::Success), Some("Node.js"));
    let json = r#"{"trace":"Traceback (most recent call last):\n  File \"/srv/a.py\", line 3, in f\n"}"#;
    assert_eq!(find(json.as_bytes(), Wrapping::Escapes, Standing::Success), Some("Python"));
    let json = r#"{"stack":"Error: no\n    at f (/srv/a.js:3:9)\n    at g (/srv/b.js:1:1)"}"#;
    assert_eq!(find(json.as_bytes(), Wrapping::Escapes, Standing::Success), Some("Node.js"));
}

#[test]
fn talk_of_traces_is_none() {
    for text in [
        "A Python trace begins with \"Traceback (most recent call last)\" and ends with the error.",
        "The goroutine leaked. See main.go for the fix.",
        "Fatal error: the third album of the band",
        "Catch the Exception: it is an Error to let it pass.",
        "Load <script src=\"/app.js:1\"></script> and look at cart.js: it adds up the total.",
        "thread 'main' panicked at nothing at all",
        "Edit Main.java: add a method. Error handling comes later.",
        "Learn what you do with `You have an error in your SQL syntax`".repeat(60).as_str(),
    ] {
        none(text, Wrapping::Plain);
        none(text, Wrapping::Markup);
    }
    let script = "<script src=\"/vendor.js:1\"></script>\n".repeat(2_000);
    none(&script, Wrapping::Markup);
}

#[test]
fn a_message_of_a_database_counts_in_an_error_of_any_length() {
    let page = format!("{} You have an error in your SQL syntax; check the manual", "a".repeat(5_000));
    assert_eq!(find(page.as_bytes(), Wrapping::Plain, Standing::Success), None);
    assert_eq!(find(page.as_bytes(), Wrapping::Plain, Standing::Error), Some("a database"));
}

#[test]
fn foreign_bytes_do_no_harm() {
    for wrapping in [Wrapping::Plain, Wrapping::Escapes, Wrapping::Markup] {
        for text in [&b"\xff\xfeTraceback (most recent call last)\xff<"[..], b"goroutine \\u12", b"panicked at &<&\\"] {
            assert_eq!(find(text, wrapping, Standing::Error), None);
        }
    }
}
