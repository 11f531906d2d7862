//! Routes of a classifier: its classes and layers, what one of them answers to.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::IntoResponse as _;
use axum::routing::post;
use axum::{Json, Router};
use ganscope::catalog::{METHODS, open_classifier};
use ganscope::explain::maximize::{MaximizeRequest, maximize};
use ganscope::explain::units::{UnitRequest, unit_patches};
use ganscope::models::classifier::ClassifierRequest;
use serde_json::json;

use crate::jobs::Done;
use crate::reply::{Reply, png_of};
use crate::server::{Server, parsed};
use crate::work::begun;

pub(crate) fn routes() -> Router<Arc<Server>> {
    Router::new()
        .route("/api/classifier", post(classifier))
        .route("/api/maximize", post(begin_maximize))
        .route("/api/unit", post(begin_unit))
}

/// Classes, layers and methods of a classifier.
async fn classifier(State(server): State<Arc<Server>>, body: Bytes) -> Reply {
    let request: ClassifierRequest = parsed(&body)?;
    server.allowed.classifier(&request)?;
    let about = move || {
        let open = open_classifier(&request, &mut ())?;
        let names: Vec<_> = (0..open.classes()?).map(|class| open.label(class)).collect();
        let suited = METHODS.iter().filter(|entry| open.explainer.suits(entry.method));
        let methods: Vec<_> = suited.map(|entry| entry.method.name()).collect();
        Ok(json!({
            "model": open.name, "classes": names, "layers": open.layers()?, "methods": methods,
        }))
    };
    Ok(Json(server.aside.run("opening a classifier", about).await?).into_response())
}

async fn begin_maximize(State(server): State<Arc<Server>>, body: Bytes) -> Reply {
    let request = server.allowed.maximize(parsed::<MaximizeRequest>(&body)?)?;
    let job = server.jobs.submit(move |watch| {
        let mut done = Done::default();
        let mut found = Vec::new();
        for (i, one) in maximize(&request, watch)?.iter().enumerate() {
            done.files.insert(format!("picture{i}.png"), ("image/png", png_of(&one.picture)?));
            found.push(json!({ "title": one.title, "answer": one.answer }));
        }
        done.json = found.into();
        Ok(done)
    })?;
    Ok(begun(&job))
}

async fn begin_unit(State(server): State<Arc<Server>>, body: Bytes) -> Reply {
    let request = server.allowed.unit(parsed::<UnitRequest>(&body)?)?;
    let job = server.jobs.submit(move |watch| {
        let found = unit_patches(&request, watch)?;
        let mut done = Done::default();
        let mut patches = Vec::new();
        for (i, patch) in found.patches.iter().enumerate() {
            done.files.insert(format!("patch{i}.png"), ("image/png", png_of(&patch.picture)?));
            patches.push(json!({
                "name": patch.name,
                "activation": patch.activation,
                "rows": [patch.rows.start, patch.rows.end],
                "columns": [patch.columns.start, patch.columns.end],
                "size": [patch.picture.height, patch.picture.width],
            }));
        }
        done.json = json!({ "title": found.title, "patches": patches });
        Ok(done)
    })?;
    Ok(begun(&job))
}
