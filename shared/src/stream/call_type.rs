//! The call type of this service's calls: the permissions of its roles, and how long a call rings.
//!
//! Stream evaluates the grants of the type at each request of a client. A client has the
//! permissions of the user's role in the app, and those of the user's role in the call. A
//! permission that ends in `-owner` is for the creator of the call only, and one that ends in
//! `-any-team` is for the calls of all teams. Requests with the app's secret need no permission.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::CallTypeName;

/// The permissions of each role in the calls of a type.
pub type Grants = BTreeMap<String, BTreeSet<String>>;

/// The role of the members of a call, with which calls are created.
pub const MEMBER_ROLE: &str = "call_member";

/// The permissions of the members of a call.
pub const MEMBER_GRANTS: [&str; 7] = [
    "create-call-reaction",
    "end-call",
    "join-call",
    "read-call",
    "screenshare",
    "send-audio",
    "send-video",
];

/// The roles that users have at Stream if no role is assigned to them.
const UNASSIGNED_ROLES: [&str; 3] = ["anonymous", "guest", "user"];

/// Stream's built-in call types, which every app has and which other systems may use.
const BUILT_IN_TYPES: [&str; 4] = ["audio_room", "default", "development", "livestream"];

/// Whether Stream's apps have the type from the start.
#[must_use]
pub fn is_built_in(name: &CallTypeName) -> bool {
    BUILT_IN_TYPES.contains(&name.as_str())
}

/// Whether users get the role from Stream, from the functions, or as members of a call.
#[must_use]
pub fn is_client_role(role: &str, assigned: &BTreeSet<String>) -> bool {
    role == MEMBER_ROLE || UNASSIGNED_ROLES.contains(&role) || assigned.contains(role)
}

/// Whether the role is for staff. Only the app's secret can assign such a role, and the functions
/// assign the roles of `STREAM_ROLE_MAP` only.
fn is_staff_role(role: &str, assigned: &BTreeSet<String>) -> bool {
    role.starts_with("global_") && !assigned.contains(role)
}

/// The grants with which clients have access to their own calls only: [`MEMBER_GRANTS`] for the
/// members of a call, and none for any other role.
///
/// `current` are the grants of the type, and `assigned` the roles that the functions assign to
/// users. The result has an entry for each role of both. Stream's `global_` roles keep their grants
/// unless the functions assign them.
#[must_use]
pub fn members_only_grants(current: &Grants, assigned: &BTreeSet<String>) -> Grants {
    let unassigned = UNASSIGNED_ROLES.into_iter().map(str::to_owned);
    let roles = current.keys().chain(assigned).cloned().chain(unassigned);
    let grants_of = |role: String| {
        let kept = current.get(&role).filter(|_| is_staff_role(&role, assigned)).cloned();
        (role, kept.unwrap_or_default())
    };
    let mut grants: Grants = roles.map(grants_of).collect();
    grants.insert(MEMBER_ROLE.to_owned(), MEMBER_GRANTS.map(str::to_owned).into());
    grants
}

/// The roles whose grants differ from the wanted ones. A role without an entry has no permissions.
#[must_use]
pub fn differing_roles<'a>(current: &Grants, wanted: &'a Grants) -> Vec<&'a str> {
    let differs = |(role, ids): &(&String, &BTreeSet<String>)| match current.get(*role) {
        Some(current) => current != *ids,
        None => !ids.is_empty(),
    };
    wanted.iter().filter(differs).map(|(role, _)| role.as_str()).collect()
}

/// A kind of access to calls that a client role must not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Join a call, or an ended call.
    Join,
    /// Create a call. Stream then applies neither the rate limits nor the checks of the functions.
    Create,
    /// End or delete a call.
    End,
    /// Record, broadcast, transcribe or caption a call.
    Record,
    /// Change the settings of a call. Its longest duration is one of them.
    Lengthen,
    /// Add or remove members. An added member may join.
    ChangeMembers,
    /// Mute, remove or block participants.
    Moderate,
    /// Read a call, its statistics or its recordings.
    Read,
}

impl Access {
    /// The access as a verb, with "calls" as its object.
    #[must_use]
    pub fn as_verb(self) -> &'static str {
        match self {
            Self::Join => "join",
            Self::Create => "create",
            Self::End => "end",
            Self::Record => "record",
            Self::Lengthen => "lengthen",
            Self::ChangeMembers => "change the members of",
            Self::Moderate => "moderate",
            Self::Read => "read",
        }
    }

    /// Whether a call type is open if a client role has this access.
    #[must_use]
    pub fn is_opening(self) -> bool {
        !matches!(self, Self::Moderate | Self::Read)
    }

    /// The access that a permission gives. `None` if it only permits the use of a joined call.
    fn from_permission(id: &str) -> Option<Self> {
        let base = id.strip_suffix("-any-team").unwrap_or(id);
        let action = base.strip_suffix("-owner").unwrap_or(base);
        let is_for_creator = action.len() < base.len();
        match action {
            // The creator of a call is a member of it, and members have these permissions.
            "end-call" | "join-call" | "read-call" if is_for_creator => None,
            "join-backstage" | "join-call" | "join-ended-call" => Some(Self::Join),
            "create-call" => Some(Self::Create),
            "delete-call" | "end-call" => Some(Self::End),
            "update-call" | "update-call-settings" => Some(Self::Lengthen),
            "remove-call-member" | "update-call-member" | "update-call-member-role" => {
                Some(Self::ChangeMembers)
            }
            "block-user" | "kick-user" | "mute-users" | "update-call-permissions" => {
                Some(Self::Moderate)
            }
            "list-recordings" | "list-transcriptions" | "read-call" | "read-call-stats" => {
                Some(Self::Read)
            }
            _ if action.starts_with("start-") || action.starts_with("stop-") => Some(Self::Record),
            _ => None,
        }
    }
}

/// The access that each role has beyond [`members_only_grants`]. A role without such access has no
/// entry.
#[must_use]
pub fn find_excess_access(
    grants: &Grants,
    assigned: &BTreeSet<String>,
) -> BTreeMap<String, BTreeSet<Access>> {
    let excess_of = |role: &str, ids: &BTreeSet<String>| -> BTreeSet<Access> {
        // An assigned role applies to all calls, and not to those of the user only.
        let is_member = role == MEMBER_ROLE && !assigned.contains(role);
        let is_wanted = |id: &str| {
            let id = id.strip_suffix("-any-team").unwrap_or(id);
            is_member && MEMBER_GRANTS.contains(&id)
        };
        let excess = ids.iter().filter(|id| !is_wanted(id));
        excess.filter_map(|id| Access::from_permission(id)).collect()
    };
    grants
        .iter()
        .filter(|(role, _)| !is_staff_role(role, assigned))
        .map(|(role, ids)| (role.clone(), excess_of(role, ids)))
        .filter(|(_, access)| !access.is_empty())
        .collect()
}

/// Whether a client role may do what [`Access::is_opening`] lists.
#[must_use]
pub fn is_open(grants: &Grants, assigned: &BTreeSet<String>) -> bool {
    find_excess_access(grants, assigned).iter().any(|(role, access)| {
        is_client_role(role, assigned) && access.iter().any(|access| access.is_opening())
    })
}

/// How long a call rings, in milliseconds. A new call copies these settings from its type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RingSettings {
    /// The time after which Stream ends a call that no member has accepted.
    #[serde(rename = "auto_cancel_timeout_ms")]
    pub auto_cancel: Option<u64>,
    /// The time for which the phones of the members ring.
    #[serde(rename = "incoming_call_timeout_ms")]
    pub incoming_call: Option<u64>,
    /// The time after which Stream counts the call as missed.
    #[serde(rename = "missed_call_timeout_ms")]
    pub missed_call: Option<u64>,
}

impl RingSettings {
    /// The shortest time that Stream accepts.
    const MIN: Duration = Duration::from_secs(5);
    /// The longest time that Stream accepts.
    const MAX: Duration = Duration::from_mins(3);

    /// The settings for a ring timeout of the functions, within the range that Stream accepts.
    #[must_use]
    pub fn for_timeout(ring_timeout: Duration) -> Self {
        let timeout = ring_timeout.clamp(Self::MIN, Self::MAX);
        let millis = u64::try_from(timeout.as_millis()).ok();
        Self { auto_cancel: millis, incoming_call: millis, missed_call: millis }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn grants(table: &[(&str, &[&str])]) -> Grants {
        table.iter().map(|(role, ids)| ((*role).to_owned(), roles(ids))).collect()
    }

    /// A part of the grants of the type `default` of a new app.
    fn default_grants() -> Grants {
        grants(&[
            ("admin", &["create-call", "end-call", "join-call", "join-call-any-team"]),
            ("call_member", &["end-call", "join-call", "start-recording", "update-call-member"]),
            ("global_admin", &["join-call-any-team"]),
            ("global_read_only", &["read-call"]),
            ("guest", &["join-call", "read-call", "send-audio"]),
            ("user", &["create-call", "join-call", "send-video", "update-call-settings-owner"]),
        ])
    }

    #[test]
    fn only_members_and_staff_keep_permissions() {
        let wanted = members_only_grants(&default_grants(), &roles(&["admin", "host", "user"]));
        let expected = grants(&[
            ("admin", &[]),
            ("anonymous", &[]),
            ("call_member", &MEMBER_GRANTS),
            ("global_admin", &["join-call-any-team"]),
            ("global_read_only", &["read-call"]),
            ("guest", &[]),
            ("host", &[]),
            ("user", &[]),
        ]);
        assert_eq!(wanted, expected);
        // The result of a second plan is the same.
        assert_eq!(members_only_grants(&wanted, &roles(&["admin", "host", "user"])), expected);
        let wanted = members_only_grants(&default_grants(), &roles(&["global_admin"]));
        assert!(wanted["global_admin"].is_empty());
        assert_eq!(wanted["global_read_only"], roles(&["read-call"]));
    }

    #[test]
    fn missing_role_equals_a_role_without_permissions() {
        let wanted = grants(&[("call_member", &["join-call"]), ("guest", &[]), ("user", &[])]);
        for (current, expected) in [
            (wanted.clone(), vec![]),
            (grants(&[("call_member", &["join-call"])]), vec![]),
            (grants(&[("call_member", &[])]), vec!["call_member"]),
            (grants(&[("user", &["join-call"])]), vec!["call_member", "user"]),
            (Grants::new(), vec!["call_member"]),
        ] {
            assert_eq!(differing_roles(&current, &wanted), expected, "{current:?}");
        }
    }

    #[test]
    fn permission_gives_access_with_each_suffix() {
        for (id, access) in [
            ("join-call", Some(Access::Join)),
            ("join-call-any-team", Some(Access::Join)),
            ("join-call-owner", None),
            ("join-ended-call-owner", Some(Access::Join)),
            ("create-call", Some(Access::Create)),
            ("create-call-reaction", None),
            ("end-call", Some(Access::End)),
            ("end-call-any-team", Some(Access::End)),
            ("end-call-owner", None),
            ("delete-call", Some(Access::End)),
            ("start-recording", Some(Access::Record)),
            ("start-recording-owner", Some(Access::Record)),
            ("stop-frame-recording-any-team", Some(Access::Record)),
            ("start-broadcasting", Some(Access::Record)),
            ("start-transcription", Some(Access::Record)),
            ("start-closed-captions", Some(Access::Record)),
            ("send-closed-captions", None),
            ("update-call", Some(Access::Lengthen)),
            ("update-call-owner", Some(Access::Lengthen)),
            ("update-call-settings", Some(Access::Lengthen)),
            ("update-call-settings-owner", Some(Access::Lengthen)),
            ("update-call-settings-owner-any-team", Some(Access::Lengthen)),
            ("update-call-member", Some(Access::ChangeMembers)),
            ("update-call-member-role-owner", Some(Access::ChangeMembers)),
            ("remove-call-member", Some(Access::ChangeMembers)),
            ("block-user-owner", Some(Access::Moderate)),
            ("kick-user", Some(Access::Moderate)),
            ("mute-users-owner", Some(Access::Moderate)),
            ("update-call-permissions-owner", Some(Access::Moderate)),
            ("read-call", Some(Access::Read)),
            ("read-call-owner", None),
            ("read-call-stats", Some(Access::Read)),
            ("list-recordings", Some(Access::Read)),
            ("send-audio", None),
            ("screenshare-owner", None),
            ("send-event", None),
            ("enable-noise-cancellation-any-team", None),
        ] {
            assert_eq!(Access::from_permission(id), access, "{id}");
        }
    }

    #[test]
    fn access_beyond_that_of_members_is_found() {
        let assigned = roles(&["admin", "user"]);
        let excess = find_excess_access(&default_grants(), &assigned);
        let expected = [
            ("admin", vec![Access::Join, Access::Create, Access::End]),
            ("call_member", vec![Access::Record, Access::ChangeMembers]),
            ("guest", vec![Access::Join, Access::Read]),
            ("user", vec![Access::Join, Access::Create, Access::Lengthen]),
        ];
        let expected: BTreeMap<String, BTreeSet<Access>> = expected
            .into_iter()
            .map(|(role, access)| (role.to_owned(), access.into_iter().collect()))
            .collect();
        assert_eq!(excess, expected);
        let wanted = members_only_grants(&default_grants(), &assigned);
        assert_eq!(find_excess_access(&wanted, &assigned), BTreeMap::new());
    }

    #[test]
    fn type_is_open_if_a_client_role_has_access() {
        let assigned = roles(&["admin", "user"]);
        for (role, ids, expected) in [
            ("user", &["join-call"][..], true),
            ("guest", &["join-call-any-team"], true),
            ("anonymous", &["end-call"], true),
            ("admin", &["start-recording"], true),
            ("user", &["update-call-settings-owner"], true),
            ("user", &["end-call-owner", "send-audio"], false),
            ("user", &["read-call", "mute-users"], false),
            ("call_member", &MEMBER_GRANTS, false),
            ("call_member", &["join-call-any-team"], false),
            ("call_member", &["update-call-settings"], true),
            ("call_member", &["join-ended-call"], true),
            // The functions assign these roles to no user.
            ("moderator", &["join-call"], false),
            ("global_admin", &["join-call-any-team"], false),
        ] {
            assert_eq!(is_open(&grants(&[(role, ids)]), &assigned), expected, "{role} {ids:?}");
        }
        // A role of members that is also the role of users in the app applies to all calls.
        let members = grants(&[("call_member", &["join-call"])]);
        assert!(is_open(&members, &roles(&["call_member"])));
        assert!(is_open(&grants(&[("global_admin", &["end-call"])]), &roles(&["global_admin"])));
    }

    #[test]
    fn ring_settings_are_within_streams_range() {
        for (secs, millis) in [(0, 5_000), (30, 30_000), (120, 120_000), (180, 180_000)] {
            let settings = RingSettings::for_timeout(Duration::from_secs(secs));
            let expected = Some(millis);
            assert_eq!(
                (settings.auto_cancel, settings.incoming_call, settings.missed_call),
                (expected, expected, expected),
                "{secs}"
            );
        }
        let longest = RingSettings::for_timeout(Duration::from_hours(1));
        assert_eq!(longest, RingSettings::for_timeout(Duration::from_mins(3)));
    }

    #[test]
    fn built_in_types_are_those_of_a_new_app() {
        let is_built_in =
            |name: &str| is_built_in(&CallTypeName::try_from(name.to_owned()).unwrap());
        assert!(is_built_in("default") && is_built_in("livestream"));
        assert!(!is_built_in("private") && !is_built_in("Default"));
    }
}
