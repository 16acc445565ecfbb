//! `apply`: prints the planned changes of the app, and writes them if they are confirmed.

use shared::error::BoxError;
use shared::stream::call_type::is_built_in;
use shared::stream::hooks::WebhookUrl;

use crate::app_client::{AppClient, ServiceUser};
use crate::args::Options;
use crate::call_type::{self, CallTypeChange, CallTypePlan};
use crate::hook::{self, RawHook};
use crate::plan::{self, Change, Plan};
use crate::requirements::Requirements;

/// Applies the requirements. `false` if the app differs from the plan.
pub(crate) async fn apply(
    app: &AppClient,
    requirements: &Requirements,
    options: &Options,
    is_confirmed: bool,
) -> Result<bool, BoxError> {
    let Requirements { call_type: name, service_user: user, .. } = requirements;
    let hooks = match &options.url {
        Some(url) => Some(HookUpdate::plan(app, url).await?),
        None => None,
    };
    let current = app.get_call_type(name).await?;
    let plan = CallTypePlan::new(current.as_ref(), requirements);
    let service_user = app.get_service_user(user).await?;

    // Other systems may use a built-in type.
    let may_change_type = !is_built_in(name) || options.call_type.is_some();
    let is_type_complete = plan.change == CallTypeChange::Unchanged;
    for line in hooks.iter().flat_map(HookUpdate::lines) {
        println!("{line}");
    }
    if is_type_complete || may_change_type {
        println!("{}", plan.line(name));
    } else {
        println!("keep   call type {name}: built-in, changed only with --call-type {name}");
    }
    match service_user {
        ServiceUser::Missing => println!("add    user {user}"),
        ServiceUser::Active => println!("keep   user {user}"),
        ServiceUser::Inactive => {
            println!("keep   user {user}: deactivated, reactivate the user in the dashboard");
        }
    }

    let is_usable = service_user != ServiceUser::Inactive;
    let creates_user = service_user == ServiceUser::Missing;
    let changes_type = !is_type_complete && may_change_type;
    let hooks = hooks.filter(HookUpdate::is_change);
    if !creates_user && !changes_type && hooks.is_none() {
        println!("Nothing to change.");
        return Ok(is_usable);
    }
    if !is_confirmed {
        println!("Nothing was changed. Add --yes to write the changes.");
        return Ok(is_usable);
    }
    let mut is_done = is_usable;
    if creates_user {
        app.create_service_user(user).await?;
        println!("Done: the user {user} exists.");
    }
    if changes_type {
        if call_type::write(app, requirements, &plan).await? {
            println!("Done: only members have access to calls of the type {name}.");
        } else {
            println!("Stream does not return the type {name} as it was written. Try again.");
            is_done = false;
        }
    }
    if let Some(hooks) = hooks {
        is_done &= hooks.write(app).await?;
    }
    Ok(is_done)
}

/// The planned registration of the webhook.
struct HookUpdate<'a> {
    url: &'a WebhookUrl,
    before: Vec<RawHook>,
    plan: Plan,
}

impl<'a> HookUpdate<'a> {
    async fn plan(app: &AppClient, url: &'a WebhookUrl) -> Result<Self, BoxError> {
        let before = hook::parse_hooks(&app.get_settings().await?)?;
        let plan = Plan::new(&before, url)?;
        Ok(Self { url, before, plan })
    }

    fn lines(&self) -> Vec<String> {
        self.plan.lines(self.url)
    }

    fn is_change(&self) -> bool {
        self.plan.change != Change::Unchanged
    }

    /// Writes the list of hooks. `false` if it changed since it was read, or differs from the plan.
    async fn write(&self, app: &AppClient) -> Result<bool, BoxError> {
        let Self { url, before, plan } = self;
        if !hook::is_identical(before, &hook::parse_hooks(&app.get_settings().await?)?)? {
            println!("The list of hooks changed since it was read: it was not written. Try again.");
            return Ok(false);
        }
        let hooks = plan.hooks.iter().map(RawHook::to_request).collect::<Result<Vec<_>, _>>()?;
        app.replace_hooks(&hooks).await?;
        let after = hook::parse_hooks(&app.get_settings().await?)?;
        let discrepancies = plan::find_discrepancies(&plan.hooks, &after, url)?;
        for line in &discrepancies {
            println!("After the update: {line}.");
        }
        if discrepancies.is_empty() {
            println!("Done: the webhook is registered, and the other hooks are unchanged.");
        }
        Ok(discrepancies.is_empty())
    }
}
