//! The application behind the rules: it answers what a test wants to have answered.
//!
//! A `POST /reflect` brings its answer along, as JSON; everything else is answered 200, with nothing.

use super::request::decode;
use super::text::Answer;
use super::wire::Received;

/// An answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) fields: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) body: Vec<u8>,
}

/// What the application answers.
pub(super) fn answer(request: &Received, given: Option<&Answer>) -> Answered {
    if let Some(given) = given {
        return answered(given);
    }
    let path = request.path();
    if request.method != b"POST" || !(path == b"/reflect" || path.starts_with(b"/reflect/")) {
        return Answered { status: 200, fields: vec![length(0)], ..Answered::default() };
    }
    match serde_json::from_slice::<Answer>(&request.body) {
        Ok(wanted) => answered(&wanted),
        Err(_) => refused("the body is no answer in JSON"),
    }
}

fn answered(wanted: &Answer) -> Answered {
    let status = wanted.status.filter(|status| *status != 0).unwrap_or(200);
    if !(100..600).contains(&status) {
        return refused("the status is none of HTTP");
    }
    let body = if wanted.body.is_empty() {
        let Some(body) = decode(&wanted.encoded_body) else { return refused("the body is no base64") };
        body
    } else {
        wanted.body.clone().into_bytes()
    };
    let mut fields: Vec<_> =
        wanted.headers.iter().map(|(name, value)| (name.clone().into_bytes(), value.clone().into_bytes())).collect();
    let typed = fields.iter().any(|(name, _)| name.eq_ignore_ascii_case(b"content-type"));
    if !typed && !body.is_empty() {
        fields.push((b"Content-Type".to_vec(), media_type(&body).to_vec()));
    }
    fields.push(length(body.len()));
    Answered { status, fields, body }
}

fn refused(why: &str) -> Answered {
    let fields = vec![(b"Content-Type".to_vec(), b"text/plain; charset=utf-8".to_vec()), length(why.len())];
    Answered { status: 400, fields, body: why.as_bytes().to_vec() }
}

fn length(bytes: usize) -> (Vec<u8>, Vec<u8>) {
    (b"Content-Length".to_vec(), bytes.to_string().into_bytes())
}

/// What the bytes look like, to the little that matters here (the WHATWG's MIME Sniffing, sections 7.1 and 7.2).
fn media_type(body: &[u8]) -> &'static [u8] {
    let start = body.get(..512).unwrap_or(body).trim_ascii_start();
    let begins = |tag: &[u8]| {
        let end = start.get(tag.len()).is_none_or(|byte| matches!(byte, b' ' | b'>' | b'\t' | b'\n' | b'\r'));
        end && start.get(..tag.len()).is_some_and(|text| text.eq_ignore_ascii_case(tag))
    };
    if HTML.iter().any(|tag| begins(tag)) || start.starts_with(b"<!--") {
        b"text/html; charset=utf-8"
    } else if start.starts_with(b"<?xml") {
        b"text/xml; charset=utf-8"
    } else if start.iter().any(|byte| matches!(byte, 0..=8 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f)) {
        b"application/octet-stream"
    } else {
        b"text/plain; charset=utf-8"
    }
}

const HTML: &[&[u8]] = &[
    b"<!doctype html",
    b"<html",
    b"<head",
    b"<script",
    b"<iframe",
    b"<h1",
    b"<div",
    b"<font",
    b"<table",
    b"<a",
    b"<style",
    b"<title",
    b"<b",
    b"<body",
    b"<br",
    b"<p",
];
