//! Slash commands: a regular message whose text starts with `/` is a command. Stream executes it
//! and does not store the message.
//!
//! The documentation names no exception for messages of a server. It leaves open how Stream answers
//! a moderation command for an unknown user: here with an error message.

use serde_json::{Value, json};

use super::bans::Ban;
use super::grants::Permission;
use super::message::{Message, REGULAR_KIND};
use super::permissions::TokenUser;
use super::user::User;
use super::{World, merge};
use crate::error::StreamError;
use crate::timestamp::Timestamp;
use crate::views::UserAction;

/// A command that the emulator knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    Giphy,
    Ban,
    Unban,
    Mute,
    Unmute,
    Flag,
}

impl Command {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "giphy" => Self::Giphy,
            "ban" => Self::Ban,
            "unban" => Self::Unban,
            "mute" => Self::Mute,
            "unmute" => Self::Unmute,
            "flag" => Self::Flag,
            _ => return None,
        })
    }
}

/// The name and the arguments of a command, or `None` for another text.
fn split_command(text: &str) -> Option<(&str, &str)> {
    let command = text.strip_prefix('/')?;
    let (name, args) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
    (!name.is_empty()).then_some((name, args.trim()))
}

impl World {
    /// The response to a message that is not stored, or `None` for a message to store. Without a
    /// user token, every command is permitted.
    pub(super) fn intercept_message(
        &mut self,
        message: &Message,
        user: Option<&TokenUser>,
        now: Timestamp,
    ) -> Result<Option<Value>, StreamError> {
        if message.kind != REGULAR_KIND {
            return Ok(None);
        }
        let access = user.map(|user| self.channel_access(user, &message.cid)).transpose()?;
        let skips_moderation =
            access.as_ref().is_some_and(|it| it.permits(Permission::SKIP_MESSAGE_MODERATION));
        if self.moderation.blocks(&message.text) && !skips_moderation {
            return Ok(Some(self.blocked_response(message)));
        }
        let Some((name, args)) = split_command(&message.text) else { return Ok(None) };
        let Some(command) = Command::parse(name) else {
            let text = format!(
                "Sorry, command {name} doesn't exist. Try posting your message without the \
                 starting /"
            );
            return Ok(Some(self.error_message_response(message, &text)));
        };
        // Every role may mute and flag users.
        if let (Some(access), Command::Ban | Command::Unban) = (access, command) {
            access.check(Permission::BAN_CHANNEL_MEMBER)?;
        }
        Ok(Some(self.run_command(command, (name, args), message, now)))
    }

    fn run_command(
        &mut self,
        command: Command,
        (name, args): (&str, &str),
        message: &Message,
        now: Timestamp,
    ) -> Value {
        if command != Command::Giphy {
            let (target, reason) = args.split_once(char::is_whitespace).unwrap_or((args, ""));
            let Some(target) = self.find_mentioned_user(target) else {
                let text = format!("The user {target} does not exist");
                return self.error_message_response(message, &text);
            };
            self.moderate(command, &target, reason.trim(), message, now);
        }
        let fields = json!({ "type": "ephemeral", "command": name, "args": args });
        merge(message.response(self), fields)
    }

    fn moderate(
        &mut self,
        command: Command,
        target: &str,
        reason: &str,
        message: &Message,
        now: Timestamp,
    ) {
        let channel = Some(&message.cid);
        let action =
            UserAction { user_id: message.user_id.clone(), target_user_id: target.to_owned() };
        match command {
            Command::Giphy => {}
            Command::Ban => {
                let reason = (!reason.is_empty()).then(|| reason.to_owned());
                let ban = Ban::new(Some(action.user_id), reason, None, now);
                self.add_ban(target, channel, ban, now);
            }
            Command::Unban => self.lift_ban(target, channel, now),
            Command::Mute => {
                self.moderation.add_mute(action, None, now);
            }
            Command::Unmute => {
                self.moderation.remove_mute(&action);
            }
            Command::Flag => {
                self.moderation.flags.insert(action);
            }
        }
    }

    /// The id of the user with this id or name, which can start with `@`.
    fn find_mentioned_user(&self, mention: &str) -> Option<String> {
        let name = mention.trim_start_matches('@');
        let has_name = |user: &&User| user.name.as_deref() == Some(name);
        let user = self.users.get(name).or_else(|| self.users.values().find(has_name))?;
        Some(user.id.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        at, create_channel, event_types, expect_error, from_json, messaging_cid, send_message,
        world_with_users,
    };
    use super::*;

    fn world_with_channel() -> World {
        let mut world = world_with_users(&["alice", "bob"]);
        create_channel(&mut world, &["alice", "bob"]).expect("a channel");
        world.take_events();
        world
    }

    fn send(world: &mut World, text: &str) -> Value {
        let request = json!({ "message": { "id": "m1", "text": text, "user_id": "alice" } });
        let response = world.send_message(&messaging_cid("c"), from_json(request), at(5));
        response.expect("a response")["message"].clone()
    }

    #[test]
    fn command_is_the_first_word_after_the_slash() {
        for (text, expected) in [
            ("/giphy", Some(("giphy", ""))),
            ("/ban @bob  for spam ", Some(("ban", "@bob  for spam"))),
            ("/etc/passwd", Some(("etc/passwd", ""))),
            ("/", None),
            ("/ giphy", None),
            (" /giphy", None),
            ("no /giphy", None),
            ("", None),
        ] {
            assert_eq!(split_command(text), expected, "{text:?}");
        }
    }

    #[test]
    fn unknown_command_is_an_error_message_that_is_not_stored() {
        let mut world = world_with_channel();
        let message = send(&mut world, "/shrug & co");
        let text = "Sorry, command shrug doesn't exist. Try posting your message without the \
                    starting /";
        assert_eq!((&message["type"], &message["text"]), (&json!("error"), &json!(text)));
        assert_eq!((&message["id"], &message["user"]["id"]), (&json!("m1"), &json!("alice")));
        assert!(world.message_views("messaging:c").is_empty());
        assert!(world.take_events().is_empty());
        // The id is still free.
        assert_eq!(send(&mut world, "hello")["type"], json!("regular"));
        assert_eq!(expect_error(send_message(&mut world, "m1")).1, 4);
    }

    #[test]
    fn giphy_is_an_ephemeral_message_that_is_not_stored() {
        let mut world = world_with_channel();
        let message = send(&mut world, "/giphy good morning");
        assert_eq!((&message["type"], &message["command"]), (&json!("ephemeral"), &json!("giphy")));
        assert_eq!(message["args"], json!("good morning"));
        assert_eq!(message["text"], json!("/giphy good morning"));
        assert!(world.message_views("messaging:c").is_empty());
    }

    #[test]
    fn moderation_commands_are_executed() {
        let mut world = world_with_channel();
        let request = json!({ "users": [{ "id": "bob", "set": { "name": "Robert" } }] });
        world.update_users_partial(from_json(request), at(4)).expect("a user");
        world.take_events();
        for text in ["/ban @bob too loud", "/mute bob", "/flag @Robert"] {
            assert_eq!(send(&mut world, text)["type"], json!("ephemeral"), "{text}");
        }
        let bans = world.ban_views();
        assert_eq!((bans.len(), bans[0].user_id.as_str()), (1, "bob"));
        assert_eq!(bans[0].channel_cid.as_deref(), Some("messaging:c"));
        assert_eq!(bans[0].banned_by.as_deref(), Some("alice"));
        assert_eq!(bans[0].reason.as_deref(), Some("too loud"));
        let action = UserAction { user_id: "alice".to_owned(), target_user_id: "bob".to_owned() };
        assert_eq!((world.mutes(), world.flags()), (vec![action.clone()], vec![action]));
        for text in ["/unban @bob", "/unmute @bob"] {
            assert_eq!(send(&mut world, text)["type"], json!("ephemeral"), "{text}");
        }
        assert!(world.ban_views().is_empty());
        assert!(world.mutes().is_empty());
        assert_eq!(event_types(&world.take_events()), ["user.banned", "user.unbanned"]);
        let unknown = send(&mut world, "/ban @carol");
        assert_eq!(unknown["text"], json!("The user @carol does not exist"));
        assert_eq!(unknown["type"], json!("error"));
    }

    #[test]
    fn blocked_word_blocks_the_message() {
        let mut world = world_with_channel();
        world.add_blocked_word("Spam");
        let message = send(&mut world, "no SPAMMING");
        assert_eq!(message["type"], json!("error"));
        assert_eq!(message["text"], json!("Message was blocked by moderation policies"));
        let moderation = json!({ "action": "remove", "original_text": "no SPAMMING" });
        assert_eq!(message["moderation"], moderation);
        assert!(world.message_views("messaging:c").is_empty());
        world.clear_blocked_words();
        assert_eq!(send(&mut world, "no SPAMMING")["text"], json!("no SPAMMING"));
    }

    #[test]
    fn system_message_is_no_command() {
        let mut world = world_with_channel();
        let message = json!({ "text": "/shrug", "user_id": "alice", "type": "system" });
        let request = from_json(json!({ "message": message }));
        let response = world.send_message(&messaging_cid("c"), request, at(5)).expect("a message");
        assert_eq!(response["message"]["type"], json!("system"));
        assert_eq!(world.message_views("messaging:c")[0].text, "/shrug");
    }
}
