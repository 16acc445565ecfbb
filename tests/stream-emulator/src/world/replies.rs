//! Lists of messages: the replies of a thread, the pinned messages of a channel, and search.

use serde::Deserialize;
use serde_json::{Value, json};

use super::cid::Cid;
use super::filter;
use super::message::Message;
use super::message_page::MessagePage;
use super::pagination::{Sort, apply_sort, paginate};
use super::validation::{check_max, require};
use super::{ApiResult, World, merge, strip_nulls};
use crate::timestamp::Timestamp;

const MAX_PAGE_SIZE: usize = 100;
const DEFAULT_PAGE_SIZE: usize = 10;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchMessages {
    #[serde(default)]
    filter_conditions: Value,
    #[serde(default)]
    message_filter_conditions: Value,
    query: Option<String>,
    sort: Option<Vec<Sort>>,
    limit: Option<usize>,
    offset: Option<usize>,
    next: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PinnedMessages {
    sort: Option<Vec<Sort>>,
    limit: Option<usize>,
    offset: Option<usize>,
}

impl World {
    pub(crate) fn get_replies(
        &self,
        viewer: Option<&str>,
        id: &str,
        page: &MessagePage,
    ) -> ApiResult {
        let (channel, parent) = self.find_message(id)?;
        let replies: Vec<&Message> = channel
            .messages
            .iter()
            .filter(|message| message.parent_id.as_ref() == Some(&parent.id))
            .filter(|message| message.is_visible_to(viewer))
            .collect();
        let page = page.select(&replies)?;
        let page: Vec<Value> =
            page.iter().map(|message| message.response_for(viewer, self)).collect();
        Ok(json!({ "messages": page }))
    }

    /// The pinned messages of a channel, the last pinned first.
    pub(crate) fn get_pinned_messages(
        &self,
        viewer: Option<&str>,
        cid: &Cid,
        request: &PinnedMessages,
        now: Timestamp,
    ) -> ApiResult {
        let limit = request.limit.unwrap_or(DEFAULT_PAGE_SIZE);
        check_max("limit", limit, MAX_PAGE_SIZE)?;
        let pinned = self.pinned_messages(viewer, cid, now);
        let latest = [Sort::descending("pinned_at")];
        let pinned = apply_sort(pinned, request.sort.as_deref().unwrap_or(&latest));
        let offset = request.offset.unwrap_or_default();
        let page: Vec<Value> = pinned.into_iter().skip(offset).take(limit).collect();
        Ok(json!({ "messages": page }))
    }

    /// The pinned messages of a channel that a user can see, in the order of their creation.
    pub(super) fn pinned_messages(
        &self,
        viewer: Option<&str>,
        cid: &Cid,
        now: Timestamp,
    ) -> Vec<Value> {
        let has_pin = |message: &&Message| {
            let pin = message.pin.as_ref();
            pin.is_some_and(|pin| pin.expires_at.is_none_or(|expires_at| expires_at > now))
        };
        let messages = self.channels.get(cid).into_iter().flat_map(|channel| &channel.messages);
        messages
            .filter(has_pin)
            .filter(|message| message.is_visible_to(viewer))
            .map(|message| message.response_for(viewer, self))
            .collect()
    }

    /// Messages in matching channels, newest first. The text is found in any case.
    pub(crate) fn search_messages(
        &self,
        viewer: Option<&str>,
        request: &SearchMessages,
        is_readable: impl Fn(&Cid) -> bool,
    ) -> ApiResult {
        require(
            request.query.is_some() || !request.message_filter_conditions.is_null(),
            "query or message_filter_conditions is a required field",
        )?;
        let query = request.query.as_deref().unwrap_or_default().to_lowercase();
        let mut found = Vec::new();
        for channel in self.channels.values().filter(|channel| is_readable(&channel.cid)) {
            let fields = channel.filter_fields(viewer, self);
            if !filter::matches(&request.filter_conditions, &fields)? {
                continue;
            }
            for message in channel.messages.iter().rev() {
                let is_candidate = message.deleted_at.is_none()
                    && message.is_visible_to(viewer)
                    && message.text.to_lowercase().contains(&query);
                if !is_candidate {
                    continue;
                }
                let response = message.response_for(viewer, self);
                let mut filtered = response.clone();
                filtered["user.id"] = json!(message.user_id);
                if filter::matches(&request.message_filter_conditions, &filtered)? {
                    let channel = json!({ "channel": channel.response(self) });
                    found.push(merge(response, channel));
                }
            }
        }
        let latest = [Sort::descending("created_at")];
        let found = apply_sort(found, request.sort.as_deref().unwrap_or(&latest));
        let found = found.into_iter().skip(request.offset.unwrap_or_default()).collect();
        let limit = request.limit.unwrap_or(DEFAULT_PAGE_SIZE);
        let (page, next) = paginate(found, Some(limit), request.next.as_deref())?;
        let results: Vec<Value> =
            page.into_iter().map(|message| json!({ "message": message })).collect();
        Ok(strip_nulls(json!({ "results": results, "next": next })))
    }
}
