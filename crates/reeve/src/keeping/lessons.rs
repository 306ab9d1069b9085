//! What is learned of the requests to applications, beyond the gateway's memory: kept sealed among the objects, taken up
//! at the start, told and forgotten when somebody asks.

use anyhow::Context;
use reeve_edge::{Draft, Learning, Progress};
use serde_json::{Value, json};

use super::{Act, Keeping};
use crate::deployment::{LearnQuestion, Reply};

/// Whether what was kept has been taken up.
#[derive(Debug, Default)]
pub(super) struct LessonPost {
    restored: bool,
}

impl Keeping {
    /// Keeps what has changed. The first time it takes up what was kept.
    pub(crate) async fn keep_lessons(&self) {
        let Some(learning) = self.learning.get() else { return };
        let mut post = self.lesson_post.lock().await;
        if !post.restored {
            if let Err(error) = self.restore_lessons(learning).await {
                tracing::error!(%error, "what was learned of requests cannot be read; tried again");
                return;
            }
            post.restored = true;
        }
        let asked = learning.clone();
        let Ok(unkept) = tokio::task::spawn_blocking(move || asked.take_unkept()).await else { return };
        for (upstream, kept) in unkept {
            let (objects, scope, name) = (self.store.objects(), self.scope(), self.lesson_name(&upstream));
            let done = match kept {
                Some(kept) => objects.put(&scope, &name, &kept).await,
                None => objects.delete(&scope, &name).await,
            };
            if let Err(error) = done {
                tracing::error!(%error, upstream, "what was learned of requests cannot be kept; tried again");
                learning.keep_again(&upstream);
            }
        }
    }

    async fn restore_lessons(&self, learning: &Learning) -> anyhow::Result<()> {
        let mut upstreams: Vec<String> = self.outlook().into_iter().map(|outlook| outlook.name).collect();
        // One line for each server.
        upstreams.dedup();
        for upstream in upstreams {
            let name = self.lesson_name(&upstream);
            let Some(kept) = self.store.objects().get(&self.scope(), &name).await? else { continue };
            if let Err(error) = learning.restore(&upstream, kept.expose()) {
                tracing::warn!(%error, upstream, "what was learned of requests before is given up");
            }
        }
        Ok(())
    }

    /// Gateways that share a store see different requests.
    fn lesson_name(&self, upstream: &str) -> String {
        format!("learn/{}/{upstream}", self.node())
    }

    /// Answers a question about what is learned.
    pub(super) async fn learn_answer(&self, question: LearnQuestion, asker: &str) -> anyhow::Result<Reply> {
        let learning = self.learning.get().context("there is no gateway here")?.clone();
        self.keep_lessons().await;
        let asked = learning.clone();
        let progress = tokio::task::spawn_blocking(move || asked.progress()).await?;
        match question {
            LearnQuestion::Status => Ok(status(&progress)),
            LearnQuestion::Propose { upstream } => {
                let upstream = chosen(&progress, upstream)?;
                let name = upstream.clone();
                let draft = tokio::task::spawn_blocking(move || learning.propose(&name)).await??;
                Ok(proposed(&upstream, draft))
            }
            LearnQuestion::Forget { upstream } => {
                let upstream = chosen(&progress, upstream)?;
                self.act(&Act { activity: "learn.forget", actor: asker, action: "forget", object: &upstream }).await?;
                let name = upstream.clone();
                let anything = tokio::task::spawn_blocking(move || learning.forget(&name)).await?;
                self.keep_lessons().await;
                let text = if anything { "forgotten" } else { "there was nothing to forget" };
                Ok(Reply::done(format!("{text}: requests to `{upstream}`"), Value::Null))
            }
        }
    }
}

fn status(progress: &[Progress]) -> Reply {
    let now = progress.iter().filter(|progress| progress.learning).count();
    let text =
        if progress.is_empty() { String::from(NOTHING) } else { format!("upstreams that are learned now: {now}") };
    Reply::done(text, json!({ "upstreams": progress }))
}

fn proposed(upstream: &str, draft: Draft) -> Reply {
    let Draft { yaml, json, operations, uncertain, .. } = draft;
    let data = json!({ "upstream": upstream, "document": json, "operations": operations, "uncertain": uncertain });
    Reply::done(yaml, data)
}

/// The upstream that is meant: there is only one if none is named.
fn chosen(progress: &[Progress], named: Option<String>) -> anyhow::Result<String> {
    let known: Vec<&str> = progress.iter().map(|progress| progress.upstream.as_str()).collect();
    match (named, known.as_slice()) {
        (_, []) => anyhow::bail!(NOTHING),
        (None, [only]) => Ok((*only).to_owned()),
        (None, several) => anyhow::bail!("name the upstream that is meant, with --upstream: {}", several.join(", ")),
        (Some(name), known) if known.contains(&name.as_str()) => Ok(name),
        (Some(name), known) => {
            anyhow::bail!("nothing was learned of an upstream `{name}`; there is {}", known.join(", "))
        }
    }
}

const NOTHING: &str =
    "nothing is learned: add `learn = true` to `[upstream]`, `reeve reload`, and let requests of all kinds pass";
