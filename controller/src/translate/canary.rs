//! Canary Ingresses, laid over the routes of a host (annotations reference
//! §17): a canary gives its Service to the main rule with the same path, and
//! nothing else.

use std::sync::Arc;

use tidegate_snapshot::route::{Canary, WeightedCluster};
use tidegate_snapshot::{Action, ClusterKey, Effect, ObjectRef, Problem, Route};

use super::ingress::{IngressField, Model};
use super::reason;

/// Lays one path of a canary over the route at `at`.
///
/// # Errors
/// Why the path is ignored.
pub(super) fn lay_over(
    route: &mut Arc<Route>,
    model: &Model,
    cluster: ClusterKey,
    field: IngressField,
) -> Result<(), Box<Problem>> {
    let Some(settings) = &model.canary else {
        return Ok(());
    };
    let main = match &route.action {
        Action::Forward(shares) => match shares.as_slice() {
            [WeightedCluster { cluster, .. }] => cluster.clone(),
            _ => return Err(without_main(&model.object, field)),
        },
        Action::Canary(first) => {
            let message = format!("{} has a canary already: {}", route.origin, first.canary);
            return Err(ignored(
                &model.object,
                field,
                message,
                "remove one of the two canaries",
            ));
        }
        Action::AddTrailingSlash | Action::AppRoot(_) | Action::OtherHost { .. } | Action::Respond(_) => {
            return Err(without_main(&model.object, field));
        }
    };
    if main == cluster {
        let message = format!("it names the Service of {} itself", route.origin);
        return Err(ignored(
            &model.object,
            field,
            message,
            "name the canary's own Service",
        ));
    }
    Arc::make_mut(route).action = Action::Canary(Box::new(Canary {
        main,
        canary: cluster,
        header: settings.header(),
        cookie: settings.cookie.clone(),
        weight: settings.weight,
        total: settings.total(),
        sticky: settings.sticky,
    }));
    Ok(())
}

/// A canary that nothing serves.
pub(super) fn without_main(object: &ObjectRef, field: IngressField) -> Box<Problem> {
    let message = "no other Ingress serves the same host and path".to_owned();
    ignored(
        object,
        field,
        message,
        "make the main Ingress, with the same host, path and pathType",
    )
}

fn ignored(object: &ObjectRef, field: IngressField, message: String, fix: &str) -> Box<Problem> {
    Box::new(Problem {
        object: object.clone(),
        field: field.text(),
        reason: reason::CANARY_IGNORED,
        message: format!("the canary is not used: {message}"),
        effect: Effect::Ignored,
        fix: fix.to_owned(),
    })
}
