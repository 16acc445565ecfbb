// Generated from docs/openapi.yaml by `npm run generate`. Do not edit.

export interface paths {
    "/api/stream/token": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Create a short-lived Stream token
         * @description The first request of a user creates the user at Stream, unless the deployment rejects unknown users
         *     (`UNKNOWN_USERS=reject`, 404 `user_not_found`). With `callId` the token is valid for that call only: the user
         *     must be a member, and the call must be active. A part of `userData` that cannot be used is left out, and listed
         *     in `ignored`. The default limit is 30 requests per minute and user.
         */
        post: operations["token"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/stream/token/revoke": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Revoke all Stream tokens of a user, and remove the push devices
         * @description Revokes all Stream tokens of the user that were issued until now. Sessions that began before, and sessions
         *     without `iat` (or the claim of `JWT_AUTH_TIME_CLAIM`), get no new token (403 `session_revoked` from `token`).
         *     Then removes all push devices of the user at Stream, so that a lost phone no longer rings. `devices: false`
         *     keeps them. An app registers its device again at the next sign-in. The other endpoints accept the session JWTs
         *     until their `exp`.
         *     After a 502 or 503 the old tokens may still be valid, and devices may remain: repeat the request. A repeat also
         *     revokes the tokens that were issued in between, and removes the remaining devices.
         *     The default limit is 10 requests per minute and user.
         */
        post: operations["token-revoke"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/stream/user/upsert": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Create a user, or change the profile
         * @description A JSON merge patch (RFC 7396): an omitted field keeps its value, and `null` removes it. `custom` is merged by
         *     key, and has at most 2,048 bytes as JSON after the change. The requester's role comes from the requester's
         *     token. The role of another user does not change. An upsert by a service also reactivates a user who was
         *     deactivated at Stream. The default limit is 20 requests per minute and user. All users together can change 240
         *     profiles per minute (503 `stream_busy`).
         */
        post: operations["user-upsert"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/stream/user/{userId}": {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description The requester; for a service, any user.
                 * @example alice
                 */
                userId: components["parameters"]["UserId"];
            };
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /**
         * Erase a user, here and at Stream
         * @description Ends the user's open calls of two members. Removes the user from larger open calls, which go on without the
         *     user; `members` no longer has the id. Deletes profile, samples and ratings. The id cannot be used again (409
         *     `user_deleted`). The request can be repeated; for an erased user the response is 200.
         */
        delete: operations["user-delete"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/stream/call": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List the requester's calls, newest first
         * @description The calls of which the requester is a member, for 30 days after their end. Each is as in `GET /call/{callId}`. A
         *     service gets the calls of its own user id only. The list follows the table with a delay of about a second. It
         *     changes when a call becomes active, is answered, ends, is cleaned up, is settled, or gets another maximum
         *     duration. Without `state`, active calls come first; both groups are sorted by `createdAt`, newest first. For the
         *     next page, send `next` of the response as `cursor`.
         *
         *     A page has a call once. If a call ends between two requests, one page can show it as open and another one as
         *     ended: drop repeats by `callId`. A page with `next` can be empty: read on until `next` is absent.
         */
        get: operations["call-list"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/stream/call/create": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Create a call with its chat channel
         * @description The same request with the same `callId` or `Idempotency-Key` creates one call. If the same members already have
         *     an open call, that call is returned with `created: false`, whatever its id: use the `callId` of the response.
         *     `allowParallel: true` creates another call. An id is used once; an ended call stays ended. A service may name
         *     the owner. With `CALL_CREATORS=service` only a service may create calls, and it must name the owner. The default
         *     limit is 20 requests per minute and user; services have none.
         *
         *     If no other member is in the open call, and it still waits for an answer, it is returned, and with `ring: true`
         *     it rings again if its last ring is more than 15 seconds old. If it no longer waits, it ends, here and at Stream,
         *     and the response is a new call, which rings with `ring: true`. A call that was created with `allowParallel` is
         *     returned by no later create, except a repeat.
         *
         *     Before that, a call of two is rejected with 409 `user_busy` while its callee is in an answered call of other
         *     members. `whenBusy: ring` creates the call all the same. `docs/CALLS.md` has all conditions.
         */
        post: operations["call-create"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/stream/call/end": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * End a call for all members
         * @description For members of the call and for services. After a response the call is over, even if Stream is unavailable. The
         *     request is idempotent; the first `reason` is kept.
         */
        post: operations["call-end"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/stream/call/{callId}": {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description The `callId` of the response of `POST /call/create`.
                 * @example demo-1
                 */
                callId: components["parameters"]["CallId"];
            };
            cookie?: never;
        };
        /**
         * Get the state of a call
         * @description For members of the call and for services, until 30 days after its end.
         */
        get: operations["call-get"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/stream/call/{callId}/extend": {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description The `callId` of the response of `POST /call/create`.
                 * @example demo-1
                 */
                callId: components["parameters"]["CallId"];
            };
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Change the maximum duration of an active call
         * @description For services only. The duration counts from the first join, so it must be longer than the time since then, and
         *     at most `CALL_MAX_DURATION_SECONDS`. It may also be shorter than the current one. The same value twice is one
         *     change. After a 502 or 503 response the change may be stored: then the sweeper sends it to Stream within the
         *     next minutes, and a repeat does so at once.
         */
        post: operations["call-extend"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/stream/call/quality/{callId}": {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description The `callId` of the response of `POST /call/create`.
                 * @example demo-1
                 */
                callId: components["parameters"]["CallId"];
            };
            cookie?: never;
        };
        /**
         * Get the quality of a call, as JSON or as an SVG chart
         * @description For members of the call and for services, during the call and for 30 days after it. A value without a source is
         *     `null`. The response is an SVG chart with `format=svg`. Without `format` it is a chart if the header `Accept`
         *     names `image/svg+xml` and prefers it to `application/json`; a wildcard is ignored. If Stream does not respond,
         *     the request succeeds with `stream.reachable: false`. The same response can be returned for 5 seconds, and for an
         *     hour after the end of the call, unless new data has been stored. The default limit is 30 requests per minute and
         *     user.
         */
        get: operations["call-quality"];
        put?: never;
        /**
         * Send quality samples of a member's app
         * @description For members of the call, each for the own user, during the call and for 30 days after it. A batch is stored
         *     once: a repeat with the same `batchId`, or of the same samples without one, returns `accepted: 0`. The clock of
         *     the phone may be wrong by any amount. A sample must be at most one hour later than any other sample of the
         *     batch. The default limit is 20 batches per minute and user.
         */
        post: operations["quality-report"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/stream/message/send": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Send a message to the chat of an active call
         * @description For members of the call. The same message with the same `messageId` is sent once, and each request returns the
         *     same response. The default limit is 60 requests per minute and user.
         */
        post: operations["message-send"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/stream/message/{channelId}": {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description The chat channel of the call.
                 * @example call-demo-1
                 */
                channelId: components["parameters"]["ChannelId"];
            };
            cookie?: never;
        };
        /**
         * List the messages of an active call, newest page first
         * @description For members of the call. For the previous page, send `next` of the response as `before`.
         */
        get: operations["message-list"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/stream/config": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get the configuration and, with `deep=true`, the health checks
         * @description It also responds if Stream's credentials are missing.
         */
        get: operations["config"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/stream/health": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Check that the deployment is alive and configured
         * @description For probes. It needs no token, sends no request to Stream and does not read the table.
         */
        get: operations["health"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/stream/webhook": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Receive Stream's webhook events
         * @description Only Stream calls it. The body has at most 262,144 bytes as sent, plain or gzipped, and 1 MiB inflated. Its
         *     `Content-Type` is ignored. Events of other types, and of calls without an item in the table, change nothing.
         *     Stream retries after a 5xx, and never after a 4xx.
         */
        post: operations["webhook"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /**
         * @description A user id, the same in the apps' sessions and at Stream. With `JWT_USER_ID_ENCODING=escape` it is the encoded
         *     form of the id in the session.
         */
        UserId: string;
        /** @description A call id. It is used once. */
        CallId: string;
        /** @description The id of a call's chat channel, `call-` and the call id. */
        ChannelId: string;
        /**
         * @description A message id that the client chooses: visible ASCII characters except `,`, `%`, `/`, `\`, `?` and `#`, and not
         *     `.` or `..`.
         */
        MessageId: string;
        /** @description The id of a batch of samples, unique for a user in a call. */
        BatchId: string;
        /** @description The id of an app's installation on a device. */
        DeviceId: string;
        /**
         * Format: date-time
         * @description RFC 3339 in UTC, to the millisecond.
         */
        Timestamp: string;
        /** @description A user's name as others see it, 1 to 128 characters, none of them a control character. */
        DisplayName: string;
        /**
         * Format: uri
         * @description The URL of an image, http or https, at most 2,048 bytes.
         */
        ImageUrl: string;
        /**
         * @description A language tag (BCP 47), two or three letters and an optional region or script.
         * @example en
         * @example pt-BR
         * @example zh-Hant
         * @example es-419
         */
        Language: string;
        /** @description The apps' own data, at most 4,096 bytes as JSON. */
        Custom: {
            [key: string]: unknown;
        };
        /** @description The reason of a call's end, chosen by the requester; 1 to 64 printable ASCII characters. */
        EndReason: string;
        /**
         * @description The platform of the app that measured.
         * @enum {string}
         */
        Platform: "ios" | "android" | "web" | "other";
        /**
         * @description `inbound` is the received media of the participant, `outbound` the sent media.
         * @enum {string}
         */
        Direction: "inbound" | "outbound";
        /** @enum {string} */
        CallType: "video" | "voice";
        TokenRequest: {
            /** @description The user of the token; the requester by default. */
            userId?: components["schemas"]["UserId"] | null;
            /** @description The profile that other users see. Any other value is accepted, too, and listed in `ignored` of the response. */
            userData?: components["schemas"]["TokenUserData"] | unknown;
            /** @description The lifetime of the token in seconds, 86,400 by default. A larger value is reduced to that. */
            ttlSeconds?: number | null;
            /** @description The only call that the token is valid for. */
            callId?: components["schemas"]["CallId"] | null;
        };
        /** @description An omitted field keeps its value, and `null` removes it. */
        TokenUserData: {
            name?: components["schemas"]["DisplayName"] | null;
            image?: components["schemas"]["ImageUrl"] | null;
        };
        TokenRevokeRequest: {
            /** @description The user of the tokens; the requester by default. */
            userId?: components["schemas"]["UserId"] | null;
            /** @description Whether the push devices of the user are removed at Stream; `true` by default. */
            devices?: boolean;
        };
        UserUpsertRequest: {
            /** @description The user; the requester by default. */
            userId?: components["schemas"]["UserId"] | null;
            userData: {
                name?: components["schemas"]["DisplayName"] | null;
                image?: components["schemas"]["ImageUrl"] | null;
                language?: components["schemas"]["Language"] | null;
                custom?: components["schemas"]["Custom"] | null;
            };
        };
        /** @description Either `receiverId` or `memberIds`. A call has 2 to 100 members, including the owner. */
        CallCreateRequest: {
            /** @description The other member of a call of two. */
            receiverId?: components["schemas"]["UserId"] | null;
            /** @description The other members. The list may contain the owner and duplicates. */
            memberIds?: components["schemas"]["UserId"][] | null;
            /**
             * @description `video` by default. `audio` is an alias of `voice`.
             * @enum {string}
             */
            callType?: "video" | "voice" | "audio";
            /** @description The id of the call. The function generates one by default. */
            callId?: components["schemas"]["CallId"] | null;
            /** @description Whether the phones of the other members ring; `false` by default. */
            ring?: boolean;
            /** @description The apps' own data, for the call at Stream. */
            custom?: components["schemas"]["Custom"] | null;
            /** @description Create a call even if its members have an open one; `false` by default. No later create returns such a call. */
            allowParallel?: boolean;
            /**
             * @description The caller of the call; the requester by default. Only a service may name another user. The owner must be as
             *     known and active as the other members.
             */
            ownerId?: components["schemas"]["UserId"] | null;
            /**
             * @description The maximum duration of the call in seconds, from the first join to `endsAt`. The default and the upper
             *     bound are `CALL_MAX_DURATION_SECONDS`. The time in which the first participant waits for others counts, so a
             *     service should add the ring timeout.
             */
            maxDurationSeconds?: components["schemas"]["MaxDuration"] | null;
            /**
             * @description What happens if the callee of a call of two is in an answered call of other members: `reject`, the default,
             *     returns 409 `user_busy`, and creates no call. A repeat may have another value.
             * @enum {string}
             */
            whenBusy?: "reject" | "ring";
        } & ({
            receiverId: components["schemas"]["UserId"];
        } | {
            memberIds: components["schemas"]["UserId"][];
        });
        /** @description A maximum duration in seconds; at most `CALL_MAX_DURATION_SECONDS`. */
        MaxDuration: number;
        CallExtendRequest: {
            /** @description The new maximum duration from the first join. */
            maxDurationSeconds: components["schemas"]["MaxDuration"];
        };
        /** @description The call id, the channel id, or both. They must belong to the same call. */
        CallEndRequest: {
            callId?: components["schemas"]["CallId"] | null;
            channelId?: components["schemas"]["ChannelId"] | null;
            /** @description The default is `ended`. The reasons of the system are rejected. */
            reason?: (components["schemas"]["EndReason"] & unknown) | null;
        } | {
            callId: components["schemas"]["CallId"];
        } | {
            channelId: components["schemas"]["ChannelId"];
        };
        QualityReportRequest: {
            /** @description By default the id is derived from the samples. */
            batchId?: components["schemas"]["BatchId"] | null;
            platform?: components["schemas"]["Platform"] | null;
            /**
             * @description Any stable id of the app's installation. All batches with this id have the same clock. Without it the
             *     function distinguishes the devices of a user by their platforms and clocks.
             */
            deviceId?: components["schemas"]["DeviceId"] | null;
            samples: components["schemas"]["Sample"][];
        };
        /**
         * @description Names and units are those of WebRTC's statistics. WebRTC's cumulative counters are sent as the difference to the
         *     previous sample.
         */
        Sample: {
            /** @description The time of the measurement by the phone's clock, from 2000 to 2100, in milliseconds since the Unix epoch. */
            timestamp: number;
            /** @description `inbound` by default. */
            direction?: components["schemas"]["Direction"];
            /** @description In seconds. */
            roundTripTime?: number | null;
            /** @description One-way latency in seconds, if the app has a better value than half of the round-trip time. */
            latency?: number | null;
            /** @description In seconds. */
            jitter?: number | null;
            /** @description Since the previous sample. */
            packetsLost?: number | null;
            /** @description Since the previous sample; used only together with `packetsLost`. */
            packetsReceived?: number | null;
            /** @description Share of lost packets, 0 to 1, if packets are not counted. */
            fractionLost?: number | null;
            /** @description Since the previous sample. */
            freezeCount?: number | null;
            /** @description In seconds, since the previous sample. */
            totalFreezesDuration?: number | null;
            /** @description In pixels. */
            frameWidth?: number | null;
            /** @description In pixels. */
            frameHeight?: number | null;
            framesPerSecond?: number | null;
            /** @description Sent or received, in bits per second. */
            bitrate?: number | null;
            audioLevel?: number | null;
            /** @description Since the previous sample; used only together with `totalSamplesReceived`. */
            concealedSamples?: number | null;
            /** @description Since the previous sample. */
            totalSamplesReceived?: number | null;
            /** @enum {string|null} */
            qualityLimitationReason?: "none" | "cpu" | "bandwidth" | "other" | null;
            /** @description The mean delay of the audio in the jitter buffer since the previous sample, in seconds. */
            jitterBufferDelay?: number | null;
            /** @enum {string|null} */
            audioCodec?: "opus" | "red" | "pcmu" | "pcma" | "g722" | "other" | null;
            /** @description Whether the audio has forward error correction in its packets. */
            fecEnabled?: boolean | null;
            /** @description The audio's part of `packetsLost`; used only together with `audioPacketsReceived`. */
            audioPacketsLost?: number | null;
            /** @description The audio's part of `packetsReceived`. */
            audioPacketsReceived?: number | null;
            /** @description Gaps in the audio since the previous sample; they give the burst ratio of the packet loss. */
            concealmentEvents?: number | null;
            /** @enum {string|null} */
            videoCodec?: "vp8" | "vp9" | "h264" | "h265" | "av1" | "other" | null;
            /** @description The video's part of `bitrate`, in bits per second. */
            videoBitrate?: number | null;
        };
        MessageSendRequest: {
            channelId: components["schemas"]["ChannelId"];
            message: string;
            /** @description The id of the message. The function generates one by default. */
            messageId?: components["schemas"]["MessageId"] | null;
        };
        /**
         * @description An event of Stream. An event of a known type must have `created_at`, and `call_cid` (calls) or `user` (users),
         *     otherwise the response is 400 `invalid_json`. Other fields of unknown types are ignored.
         */
        Event: {
            /**
             * @example call.session_started
             * @example call.ended
             * @example user.deleted
             */
            type: string;
            /** @description As RFC 3339 text, or in nanoseconds since the Unix epoch. */
            created_at?: unknown;
            /** @example default:demo-1 */
            call_cid?: unknown;
        } & {
            [key: string]: unknown;
        };
        /** @description The fields of every success. */
        Envelope: {
            /** @constant */
            error: false;
            /** @description For people. */
            message: string;
        };
        TokenResponse: {
            /** @description A JWT with which the user's device connects to Stream. */
            token: string;
            /** @description The API key of the Stream app. */
            apiKey: string;
            userId: components["schemas"]["UserId"];
            /** @description The time from which Stream rejects the token. */
            expiresAt: components["schemas"]["Timestamp"];
            /** @description When to request the next token, after four fifths of the lifetime. */
            refreshAfter: components["schemas"]["Timestamp"];
            /** @description The parts of `userData` that were not used, at most 20. Absent if there are none. */
            ignored?: components["schemas"]["FieldError"][];
        } & components["schemas"]["Envelope"];
        TokenRevokeResponse: {
            userId: components["schemas"]["UserId"];
            revokedAt: components["schemas"]["Timestamp"];
            /**
             * @description The number of push devices whose removal Stream has confirmed to this request. A device that another request
             *     has removed is not counted.
             */
            devicesRemoved: number;
        } & components["schemas"]["Envelope"];
        UserUpsertResponse: {
            /** @description Values that were never set are absent. Imported values are those of Stream. */
            user: {
                id: components["schemas"]["UserId"];
                name?: string;
                image?: string;
                language?: string;
                custom?: components["schemas"]["Custom"];
                /** @description The role of the user at Stream. */
                role: string;
            };
        } & components["schemas"]["Envelope"];
        UserDeleteResponse: {
            userId: components["schemas"]["UserId"];
            /** @enum {string} */
            status: "deleted" | "deleting";
        } & components["schemas"]["Envelope"];
        /** @description The fields of every response about a call. */
        Call: {
            callId: components["schemas"]["CallId"];
            /** @description The call's cid at Stream. */
            callCid: string;
            channelId: components["schemas"]["ChannelId"];
            /** @description The channel's cid at Stream. */
            channelCid: string;
            callType: components["schemas"]["CallType"];
            /** @description All members, at first the owner first. A user who is erased during the call is removed. */
            members: components["schemas"]["UserId"][];
            /** @description The permissions of the members; `video` and `screen_sharing` only in video calls. */
            callSettings: {
                /** @constant */
                audio: true;
                video: boolean;
                screen_sharing: boolean;
                /** @constant */
                recording: false;
                /** @constant */
                transcribing: false;
            };
            /**
             * @description The state advances in this order and never goes back. A call that a webhook or a redial ends is `ending`
             *     until the next sweep, and then `ended`.
             * @enum {string}
             */
            status: "creating" | "active" | "ending" | "ended";
            /** @description The time of the first create request. */
            createdAt: components["schemas"]["Timestamp"];
            /** @description The time of the first join; absent until Stream reports one. */
            startedAt?: components["schemas"]["Timestamp"];
            /**
             * @description The first time before `endedAt` at which two different users were in; absent before. It is derived from the
             *     joins and leaves, so an event that is reported late can change or remove it.
             */
            answeredAt?: components["schemas"]["Timestamp"];
            /** @description Whether two different users have been in before `endedAt`. */
            answered: boolean;
            /**
             * @description Whether the times are final. They can change while it is `false`, also after the end. With the default
             *     timeouts, a call that was active is settled within 15 minutes of `endedAt` while Stream answers. If Stream
             *     cannot be read, that takes about 24 hours. If the cleanup at Stream fails, `status` is then still `ending`.
             *     One that never was active stays `false`.
             */
            settled: boolean;
            /**
             * @description Present if the call has too many joins and leaves to store all of them.
             * @constant
             */
            presenceTruncated?: true;
            /** @description The time at which the call reaches its maximum duration; present with `startedAt`. */
            endsAt?: components["schemas"]["Timestamp"];
        };
        CallCreateResponse: {
            /** @constant */
            status?: "active";
            /** @description Whether this request created the call. */
            created: boolean;
            /** @description Whether this request rang the phones of members. */
            rung: boolean;
        } & (components["schemas"]["Envelope"] & components["schemas"]["Call"]);
        /** @description A call, with its end once it is over. `status` distinguishes the two. */
        CallWithEnd: components["schemas"]["Call"] & (components["schemas"]["OpenCallState"] | components["schemas"]["EndedCallState"]);
        OpenCallState: {
            /** @enum {string} */
            status: "creating" | "active";
        };
        EndedCallState: {
            /** @enum {string} */
            status: "ending" | "ended";
            /** @description When the call ended for its members; its cleanup at Stream follows. */
            endedAt: components["schemas"]["Timestamp"];
            /**
             * @description The reason of the end request, by default `ended`. Or a reason of the system: `not_joined`, `not_answered`,
             *     `declined`, `cancelled`, `left`, `too_long`, `ended_at_stream`, `not_created`, `user_deleted`.
             */
            endReason: components["schemas"]["EndReason"];
            /** @description The actor; absent for calls that ended before it was stored. */
            endedBy?: components["schemas"]["EndedBy"];
            durationSeconds: components["schemas"]["DurationSeconds"];
            /** @description The sum of the times before `endedAt` with at least two users in, in whole seconds. */
            talkSeconds: number;
        };
        CallGetResponse: components["schemas"]["Envelope"] & components["schemas"]["CallWithEnd"];
        /** @description A call as in `GET /call/{callId}`, at its last change that the list shows. */
        ListedCall: {
            /** @enum {string} */
            status: "active" | "ending" | "ended";
        } & components["schemas"]["CallWithEnd"];
        CallListResponse: {
            /**
             * @description The calls of the page: the active ones first, each group with the newest first. A page can have fewer calls
             *     than `limit`, and none at all, also if it has `next`.
             */
            calls: components["schemas"]["ListedCall"][];
            /** @description The `cursor` of the next request; absent on the last page. */
            next?: string;
        } & components["schemas"]["Envelope"];
        /**
         * @description The actor who ended a call: a `user`, a `service` by a request, the `system` by a timeout or the limit, or
         *     `stream` if Stream ended the call and named no user.
         */
        EndedBy: components["schemas"]["EndedByUser"] | components["schemas"]["EndedByOther"];
        EndedByUser: {
            /** @constant */
            kind: "user";
            userId: components["schemas"]["UserId"];
        };
        EndedByOther: {
            /** @enum {string} */
            kind: "service" | "system" | "stream";
        };
        /**
         * @description The time from the answer to the last moment before `endedAt` with two users in, in whole seconds; 0 if the call
         *     was never answered.
         */
        DurationSeconds: number;
        CallExtendResponse: {
            /** @constant */
            status?: "active";
        } & (components["schemas"]["Envelope"] & components["schemas"]["Call"]);
        CallEndResponse: {
            callId: components["schemas"]["CallId"];
            channelId: components["schemas"]["ChannelId"];
            /** @enum {string} */
            status: "ended" | "ending";
            durationSeconds: components["schemas"]["DurationSeconds"];
        } & components["schemas"]["Envelope"];
        QualityReportResponse: {
            /** @description The number of newly stored samples, 0 for a batch that is stored already. */
            accepted: number;
        } & components["schemas"]["Envelope"];
        Message: {
            id: string;
            channelId: components["schemas"]["ChannelId"];
            text: string;
            /** @description The type at Stream, such as `regular`. */
            type: string;
            user: {
                id: string;
                name: string | null;
                image: string | null;
            } | null;
            /** @description The attachments at Stream, unchanged; absent if there are none. */
            attachments?: unknown[];
            createdAt: components["schemas"]["Timestamp"];
            updatedAt: components["schemas"]["Timestamp"] | null;
        };
        MessageSendResponse: {
            messageData: components["schemas"]["Message"];
        } & components["schemas"]["Envelope"];
        MessageListResponse: {
            /** @description Oldest first. */
            messages: components["schemas"]["Message"][];
        } & (components["schemas"]["Envelope"] & (components["schemas"]["EarlierMessages"] | components["schemas"]["NoEarlierMessages"]));
        /** @description Earlier messages exist. */
        EarlierMessages: {
            /** @constant */
            hasMore: true;
            /** @description The `before` of the next request. */
            next: string;
        };
        /** @description The page has the first message of the call. */
        NoEarlierMessages: {
            /** @constant */
            hasMore: false;
        };
        HealthResponse: components["schemas"]["Envelope"];
        ConfigResponse: {
            config: {
                /** @description The API key of the Stream app. */
                apiKey: string | null;
                hasApiSecret: boolean;
                /** @description Whether the API key and the secret are set. */
                isConfigured: boolean;
                clientInitialized: boolean;
                /**
                 * @description The missing variables. `STREAM_API_SECRET` stands for the secret in any form: in a deployment,
                 *     `STREAM_SECRET_ARN` is missing.
                 */
                missing: ("STREAM_API_KEY" | "STREAM_API_SECRET")[];
                region: string;
                version: string;
                /** @description Only with `deep=true`. */
                checks?: {
                    stream: components["schemas"]["StreamCheck"];
                    webhook: components["schemas"]["WebhookCheck"];
                    rateLimits: components["schemas"]["RateLimitsCheck"];
                    callType: components["schemas"]["CallTypeCheck"];
                    dynamodb: components["schemas"]["Check"] & (components["schemas"]["PassedCheck"] | components["schemas"]["FailedStoreCheck"]);
                };
            };
        } & components["schemas"]["Envelope"];
        /** @description The outcome of a check; `code` is present if `ok` is false. */
        Check: {
            ok: boolean;
            latencyMs: number | null;
        };
        PassedCheck: {
            /** @constant */
            ok: true;
        };
        FailedStreamCheck: {
            /** @constant */
            ok: false;
            code: components["schemas"]["StreamCode"];
        };
        FailedStoreCheck: {
            /** @constant */
            ok: false;
            /**
             * @description The error code.
             * @enum {string}
             */
            code: "store_unavailable" | "internal";
        };
        StreamCheck: {
            /**
             * @description How far the function's clock is ahead of Stream's, in milliseconds. Stream's time has a precision of one
             *     second, so a skew below one second is not significant.
             */
            clockSkewMs: number | null;
            /** @description `clock_skew` means a skew of more than five seconds. */
            warnings: ("app_suspended" | "auth_checks_disabled" | "permission_checks_disabled" | "clock_skew")[];
        } & (components["schemas"]["Check"] & (components["schemas"]["PassedCheck"] | components["schemas"]["FailedStreamCheck"]));
        /**
         * @description The error code; absent without an error.
         * @enum {string}
         */
        StreamCode: "stream_not_configured" | "stream_rejected_credentials" | "stream_refused" | "stream_bad_answer" | "stream_busy" | "stream_unavailable";
        /** @description Whether Stream sends all required events to this deployment. */
        WebhookCheck: {
            /** @description An enabled hook sends all required events to `url`. */
            ok: boolean;
            latencyMs: number | null;
            code?: components["schemas"]["StreamCode"];
            /** @description The URL that the hook must have. */
            url: string | null;
            missingEvents: string[];
            warnings: ("not_registered" | "disabled" | "events_missing" | "registered_twice" | "url_unknown")[];
        };
        /** @description The remaining requests of this minute, for the Stream endpoints that the functions use. */
        RateLimitsCheck: {
            ok: boolean;
            latencyMs: number | null;
            code?: components["schemas"]["StreamCode"];
            endpoints: {
                [key: string]: {
                    /** @description Requests per minute. */
                    limit: number;
                    remaining: number;
                    reset: components["schemas"]["Timestamp"];
                };
            };
            /** @description Endpoints with less than a tenth of the limit remaining. */
            low: string[];
            warnings: ("rate_limit_low" | "limits_unknown")[];
        };
        /** @description Whether only members have access to calls at Stream. */
        CallTypeCheck: {
            /** @description The call type exists, and is not `call_type_open`. */
            ok: boolean;
            latencyMs: number | null;
            code?: components["schemas"]["StreamCode"];
            /** @description The call type of new calls. */
            name: string;
            /**
             * @description `call_type_open` means that a role of every user, or of members, has permissions that it must not have: to
             *     create, join, end, record or lengthen calls, or to change their members. `default_call_type` means that
             *     calls have Stream's built-in type, which other systems of the Stream app may use too.
             */
            warnings: ("call_type_missing" | "call_type_open" | "ring_timeout_differs" | "service_user_missing" | "default_call_type")[];
        };
        CallQualityResponse: {
            quality: components["schemas"]["Quality"];
        } & components["schemas"]["Envelope"];
        /** @description The quality of the whole call. Numbers are rounded to a thousandth. */
        Quality: {
            callId: components["schemas"]["CallId"];
            metrics: components["schemas"]["Metrics"];
            /** @description All participants in the data of any source, the worst first, those without a score last. */
            participants: components["schemas"]["Participant"][];
            /** @description The user with the lowest `score`, or with the lowest Stream score if there is no `score`. */
            worstParticipant: string | null;
            worstInterval: components["schemas"]["Interval"] | null;
            stream: components["schemas"]["StreamSummary"];
            ratings: components["schemas"]["Ratings"];
            samples: {
                /** @description The number of stored samples. */
                count: number;
                /** @description The number of stored samples that do not count, since they are repeated or outside the call. */
                dropped: number;
                /** @description Whether the result includes all stored samples. */
                complete: boolean;
            };
            sources: ("samples" | "stream" | "ratings")[];
            /** @description `null` without samples. */
            timeline: components["schemas"]["Timeline"] | null;
            /** @description The last minute; `null` after the end of the call, and without recent samples. */
            recent: components["schemas"]["CallRecent"] | null;
            /** @description The time before the data of this response was read. */
            timestamp: components["schemas"]["Timestamp"];
        } & components["schemas"]["Assessment"];
        /** @description A score with its causes, or the reason for a missing one. `quality` distinguishes the two. */
        Assessment: components["schemas"]["KnownAssessment"] | components["schemas"]["UnknownAssessment"];
        KnownAssessment: {
            /** @enum {string} */
            quality: "excellent" | "good" | "fair" | "poor" | "bad";
            /** @description The mean opinion score (MOS). */
            score: number;
            /** @description The transmission rating factor R. */
            r: number;
            /**
             * @description The version of the formula. A call keeps the version of its creation.
             * @enum {string}
             */
            model: "g107-field-1" | "g107-p1203-2";
            reasons: components["schemas"]["Reasons"];
            /**
             * @description The worse medium, whose score this is; `null` in `g107-field-1`.
             * @enum {string|null}
             */
            medium: "audio" | "video" | null;
            /** @description The score of the audio; `null` in `g107-field-1` and if an input is missing. */
            audio: components["schemas"]["MediumAssessment"] | null;
            /** @description The score of the video; `null` in `g107-field-1` and without video. */
            video: components["schemas"]["MediumAssessment"] | null;
        };
        UnknownAssessment: {
            /** @constant */
            quality: "unknown";
            score: null;
            r: null;
            model: null;
            /**
             * @description The reason for a missing score.
             * @enum {string}
             */
            reason: "no_data" | "no_packet_loss" | "no_latency" | "no_jitter";
            reasons: unknown[];
            medium: null;
            /** @description The score of the audio; `null` in `g107-field-1` and if an input is missing. */
            audio: components["schemas"]["MediumAssessment"] | null;
            /** @description The score of the video; `null` in `g107-field-1` and without video. */
            video: components["schemas"]["MediumAssessment"] | null;
        };
        /** @description The score of the audio or of the video. */
        MediumAssessment: {
            /** @enum {string} */
            quality: "excellent" | "good" | "fair" | "poor" | "bad";
            /** @description The mean opinion score (MOS). */
            score: number;
            /** @description The transmission rating factor R. */
            r: number;
            reasons: components["schemas"]["Reasons"];
        };
        /** @description Points of R lost by cause, the largest first. */
        Reasons: {
            cause: components["schemas"]["Cause"];
            cost: number;
        }[];
        /** @enum {string} */
        Cause: "latency" | "jitter" | "loss" | "freezes" | "resolution" | "frame_rate" | "bitrate";
        /** @description The last minute of a participant's samples. */
        Recent: {
            from: components["schemas"]["Timestamp"];
            to: components["schemas"]["Timestamp"];
            /** @description The worse direction, whose assessment this is. */
            direction: components["schemas"]["Direction"];
        } & components["schemas"]["Assessment"];
        /** @description The last minute of all participants' samples. */
        CallRecent: {
            from: components["schemas"]["Timestamp"];
            to: components["schemas"]["Timestamp"];
            /** @description The user with the lowest `score` in this minute. */
            worstParticipant: string | null;
        } & components["schemas"]["Assessment"];
        /** @description A value without a source is `null`. */
        Metrics: {
            /** @description One-way latency, in ms. */
            latency: number | null;
            /** @description In ms. */
            roundTripTime: number | null;
            /** @description In ms. */
            jitter: number | null;
            /** @description In %. */
            packetLoss: number | null;
            /** @description Total duration of frozen video, in ms. */
            freezes: number | null;
            /** @description The number of freezes. */
            freezeCount: number | null;
            /** @description Share of the measured time with a score of fair or better, in %. */
            connectionStability: number | null;
            /**
             * @description The mean of the shorter side of the video, as text.
             * @example 720p
             */
            videoQuality: string | null;
            /** @description Frames per second. */
            frameRate: number | null;
            /** @description In kbit/s. */
            bitrate: number | null;
            audioLevel: number | null;
            /** @description Share of the audio that was synthesized to fill gaps, in %. */
            concealment: number | null;
            /** @description Mean delay of the audio in the jitter buffer, in ms. */
            jitterBufferDelay: number | null;
            /** @description Packet loss of the audio alone, in %. */
            audioPacketLoss: number | null;
            /** @description Mean length of a gap in the audio in relation to random loss. */
            burstRatio: number | null;
            /** @description Of the video alone, in kbit/s. */
            videoBitrate: number | null;
            /** @description Share of the time in which the CPU limited the video quality, in %. */
            limitedByCpu: number | null;
            /** @description Share of the time in which the bandwidth limited the video quality, in %. */
            limitedByBandwidth: number | null;
        };
        /** @description One direction of a participant's connection. */
        DirectionQuality: {
            metrics: components["schemas"]["Metrics"];
        } & components["schemas"]["Assessment"];
        /** @description The assessment and the metrics are those of the worse direction. `freezes` and `freezeCount` are inbound. */
        Participant: {
            userId: string;
            /** @description The name at Stream, or else in the stored profile. */
            name: string | null;
            platform: components["schemas"]["Platform"] | null;
            direction: components["schemas"]["Direction"] | null;
            metrics: components["schemas"]["Metrics"];
            inbound: components["schemas"]["DirectionQuality"] | null;
            outbound: components["schemas"]["DirectionQuality"] | null;
            /** @description Stream's score of the worst period of presence, 0 to 100. */
            streamScore: number | null;
            /** @description The participant's periods in the call, from Stream. */
            presence: {
                joinedAt: components["schemas"]["Timestamp"] | null;
                leftAt: components["schemas"]["Timestamp"] | null;
            }[];
            /** @description Frozen video, by the start of the timeline's step, with the duration in ms. */
            freezes: {
                at: components["schemas"]["Timestamp"];
                duration: number;
            }[];
            /** @description The lowest score in each step of the timeline; empty without samples. */
            timeline: (number | null)[];
            /** @description The last minute; `null` after the end of the call, and without recent samples. */
            recent: components["schemas"]["Recent"] | null;
        } & components["schemas"]["Assessment"];
        /** @description The interval in which a participant's quality was much worse than in the rest of the time. */
        Interval: {
            userId: components["schemas"]["UserId"];
            cause: components["schemas"]["Cause"];
            score: number;
            from: components["schemas"]["Timestamp"];
            to: components["schemas"]["Timestamp"];
        };
        /** @description Stream's own data about the call. */
        StreamSummary: {
            /** @description Stream's score of the call, on its own scale of 0 to 100. */
            score: number | null;
            /** @description The session of this data. */
            sessionId: string | null;
            startedAt: components["schemas"]["Timestamp"] | null;
            endedAt: components["schemas"]["Timestamp"] | null;
            /** @description The mean of the ratings at Stream, 1 to 5. */
            userRating: number | null;
            /** @description The number of ratings at Stream. */
            userRatings: number | null;
            /**
             * @description `live` is Stream's current report, `stored` is from an earlier webhook, `null` means no data.
             * @enum {unknown}
             */
            source: "live" | "stored" | null;
            /** @description Whether Stream responded when the response was computed. */
            reachable: boolean;
        };
        Ratings: {
            average: number | null;
            count: number;
            /** @description The requester's own rating; all ratings for a service. */
            each: {
                userId: components["schemas"]["UserId"];
                rating: number;
                reason: string | null;
            }[];
        };
        /** @description The call over time. Each step has its worst values. */
        Timeline: {
            from: components["schemas"]["Timestamp"];
            /** @description The duration of each step. */
            stepSeconds: number;
            points: {
                score: number | null;
                userId: components["schemas"]["UserId"] | null;
                /** @description One-way latency, in ms. */
                latency: number | null;
                /** @description In ms. */
                jitter: number | null;
                /** @description In %. */
                packetLoss: number | null;
            }[];
        };
        /** @description API Gateway's own response if it reaches no function. */
        GatewayMessage: {
            message: string;
        };
        /** @description A field of the body, and why it cannot be used. */
        FieldError: {
            /** @description A JSON Pointer (RFC 6901). */
            pointer: string;
            reason: string;
        };
        /**
         * @description For machines. A code never changes. `docs/ERRORS.md` describes each.
         * @enum {string}
         */
        ErrorCode: "invalid_request" | "invalid_path" | "invalid_id" | "invalid_query" | "invalid_header" | "invalid_json" | "invalid_body" | "call_channel_mismatch" | "unauthenticated" | "bad_signature" | "user_mismatch" | "creators_restricted" | "session_revoked" | "user_deactivated" | "user_banned" | "user_not_found" | "call_not_found" | "call_ended" | "call_id_reused" | "call_not_active" | "too_many_batches" | "user_busy" | "message_id_reused" | "user_deleted" | "body_too_large" | "unsupported_media_type" | "message_blocked" | "too_many_requests" | "internal" | "stream_rejected_credentials" | "stream_refused" | "stream_bad_answer" | "stream_not_configured" | "keys_unavailable" | "secrets_unavailable" | "stream_busy" | "stream_unavailable" | "store_unavailable";
        /**
         * @description Every code except `invalid_body`.
         * @enum {string}
         */
        OtherErrorCode: "invalid_request" | "invalid_path" | "invalid_id" | "invalid_query" | "invalid_header" | "invalid_json" | "call_channel_mismatch" | "unauthenticated" | "bad_signature" | "user_mismatch" | "creators_restricted" | "session_revoked" | "user_deactivated" | "user_banned" | "user_not_found" | "call_not_found" | "call_ended" | "call_id_reused" | "call_not_active" | "too_many_batches" | "user_busy" | "message_id_reused" | "user_deleted" | "body_too_large" | "unsupported_media_type" | "message_blocked" | "too_many_requests" | "internal" | "stream_rejected_credentials" | "stream_refused" | "stream_bad_answer" | "stream_not_configured" | "keys_unavailable" | "secrets_unavailable" | "stream_busy" | "stream_unavailable" | "store_unavailable";
        InvalidBodyProblem: {
            /** @constant */
            code: "invalid_body";
            /** @description The invalid fields of the body. */
            errors: components["schemas"]["FieldError"][];
        };
        OtherProblem: {
            code: components["schemas"]["OtherErrorCode"];
        };
        /** @description A problem document (RFC 9457), with the `error` and `message` that the apps read. */
        Problem: {
            /** @constant */
            error: true;
            /** @description The same as `detail`. */
            message: string;
            /** @description The code as a URN. */
            type: string;
            /** @description A summary, the same for each occurrence of the code. */
            title: string;
            /** @description The status of the response. */
            status: number;
            /** @description For people; the same as `title` if there are no details. */
            detail: string;
            code: components["schemas"]["ErrorCode"];
            /** @description The request id. */
            instance: string;
        } & (components["schemas"]["InvalidBodyProblem"] | components["schemas"]["OtherProblem"]);
    };
    responses: {
        /** @description The request or its body is invalid. */
        BadBody: {
            headers: {
                "Cache-Control": components["headers"]["CacheControl"];
                "X-Content-Type-Options": components["headers"]["ContentTypeOptions"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {string} */
                    code: "invalid_request" | "invalid_path" | "invalid_json" | "invalid_body";
                };
            };
        };
        /** @description The request, its `Idempotency-Key` or its body is invalid. */
        BadCallCreate: {
            headers: {
                "Cache-Control": components["headers"]["CacheControl"];
                "X-Content-Type-Options": components["headers"]["ContentTypeOptions"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {string} */
                    code: "invalid_request" | "invalid_path" | "invalid_header" | "invalid_json" | "invalid_body";
                };
            };
        };
        /** @description The request or its body is invalid. */
        BadCallEnd: {
            headers: {
                "Cache-Control": components["headers"]["CacheControl"];
                "X-Content-Type-Options": components["headers"]["ContentTypeOptions"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {string} */
                    code: "invalid_request" | "invalid_path" | "invalid_json" | "invalid_body" | "call_channel_mismatch";
                };
            };
        };
        /** @description The request or the id in its path is invalid. From API Gateway, if the path cannot be decoded. */
        BadId: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {string} */
                    code: "invalid_request" | "invalid_path" | "invalid_id";
                };
                /**
                 * @example {
                 *       "message": "Bad Request"
                 *     }
                 */
                "application/json": components["schemas"]["GatewayMessage"];
            };
        };
        /** @description The request, the id in its path or its query is invalid. From API Gateway, if the path cannot be decoded. */
        BadIdOrQuery: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {string} */
                    code: "invalid_request" | "invalid_path" | "invalid_id" | "invalid_query";
                };
                /**
                 * @example {
                 *       "message": "Bad Request"
                 *     }
                 */
                "application/json": components["schemas"]["GatewayMessage"];
            };
        };
        /** @description The request, the id in its path or its body is invalid. From API Gateway, if the path cannot be decoded. */
        BadIdOrBody: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {string} */
                    code: "invalid_request" | "invalid_path" | "invalid_id" | "invalid_json" | "invalid_body";
                };
                /**
                 * @example {
                 *       "message": "Bad Request"
                 *     }
                 */
                "application/json": components["schemas"]["GatewayMessage"];
            };
        };
        /** @description The request or its query is invalid. */
        BadQuery: {
            headers: {
                "Cache-Control": components["headers"]["CacheControl"];
                "X-Content-Type-Options": components["headers"]["ContentTypeOptions"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {string} */
                    code: "invalid_request" | "invalid_path" | "invalid_query";
                };
            };
        };
        /** @description The request or the event is invalid. */
        BadEvent: {
            headers: {
                "Cache-Control": components["headers"]["CacheControl"];
                "X-Content-Type-Options": components["headers"]["ContentTypeOptions"];
                [name: string]: unknown;
            };
            content: {
                /**
                 * @example {
                 *       "error": true,
                 *       "message": "The body is not a JSON object",
                 *       "type": "urn:stream-functions:invalid_json",
                 *       "title": "The body is not a JSON object",
                 *       "status": 400,
                 *       "detail": "The body is not a JSON object",
                 *       "code": "invalid_json",
                 *       "instance": "JKJaXmPLvHcESHA="
                 *     }
                 */
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {string} */
                    code: "invalid_request" | "invalid_path" | "invalid_json";
                };
            };
        };
        /** @description The bearer token is missing or invalid. The body is the same for every cause. */
        Unauthenticated: {
            headers: {
                "Cache-Control": components["headers"]["CacheControl"];
                "X-Content-Type-Options": components["headers"]["ContentTypeOptions"];
                "WWW-Authenticate": components["headers"]["Bearer"];
                [name: string]: unknown;
            };
            content: {
                /**
                 * @example {
                 *       "error": true,
                 *       "message": "A valid bearer token is required",
                 *       "type": "urn:stream-functions:unauthenticated",
                 *       "title": "A valid bearer token is required",
                 *       "status": 401,
                 *       "detail": "A valid bearer token is required",
                 *       "code": "unauthenticated",
                 *       "instance": "JKJaXmPLvHcESHA="
                 *     }
                 */
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {string} */
                    code: "unauthenticated";
                };
            };
        };
        /** @description The signature is missing or invalid. The body is the same for every cause. */
        BadSignature: {
            headers: {
                "Cache-Control": components["headers"]["CacheControl"];
                "X-Content-Type-Options": components["headers"]["ContentTypeOptions"];
                "WWW-Authenticate": components["headers"]["StreamSignature"];
                [name: string]: unknown;
            };
            content: {
                /**
                 * @example {
                 *       "error": true,
                 *       "message": "The body is not signed by Stream",
                 *       "type": "urn:stream-functions:bad_signature",
                 *       "title": "The body is not signed by Stream",
                 *       "status": 401,
                 *       "detail": "The body is not signed by Stream",
                 *       "code": "bad_signature",
                 *       "instance": "JKJaXmPLvHcESHA="
                 *     }
                 */
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {string} */
                    code: "bad_signature";
                };
            };
        };
        /** @description The request names another user, and the requester is not a service. */
        UserMismatch: {
            headers: {
                "Cache-Control": components["headers"]["CacheControl"];
                "X-Content-Type-Options": components["headers"]["ContentTypeOptions"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {string} */
                    code: "user_mismatch";
                };
            };
        };
        /**
         * @description The request names another user, and the requester is not a service. Or the user is deactivated or banned at
         *     Stream.
         */
        UserRefused: {
            headers: {
                "Cache-Control": components["headers"]["CacheControl"];
                "X-Content-Type-Options": components["headers"]["ContentTypeOptions"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {string} */
                    code: "user_mismatch" | "user_deactivated" | "user_banned";
                };
            };
        };
        /**
         * @description The request names another user, and the requester is not a service. Or the user is deactivated or banned at
         *     Stream. Or the session began before the user's tokens were revoked.
         */
        NoToken: {
            headers: {
                "Cache-Control": components["headers"]["CacheControl"];
                "X-Content-Type-Options": components["headers"]["ContentTypeOptions"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {string} */
                    code: "user_mismatch" | "session_revoked" | "user_deactivated" | "user_banned";
                };
            };
        };
        /** @description The requester is deactivated or banned at Stream. */
        InactiveUser: {
            headers: {
                "Cache-Control": components["headers"]["CacheControl"];
                "X-Content-Type-Options": components["headers"]["ContentTypeOptions"];
                [name: string]: unknown;
            };
            content: {
                /**
                 * @example {
                 *       "error": true,
                 *       "message": "The user is banned",
                 *       "type": "urn:stream-functions:user_banned",
                 *       "title": "The user is banned",
                 *       "status": 403,
                 *       "detail": "The user is banned",
                 *       "code": "user_banned",
                 *       "instance": "JKJaXmPLvHcESHA="
                 *     }
                 */
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {string} */
                    code: "user_deactivated" | "user_banned";
                };
            };
        };
        /**
         * @description Only a service may create calls. Or the requester names another owner and is not a service. Or the owner is
         *     deactivated or banned at Stream.
         */
        CallCreateRefused: {
            headers: {
                "Cache-Control": components["headers"]["CacheControl"];
                "X-Content-Type-Options": components["headers"]["ContentTypeOptions"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {string} */
                    code: "creators_restricted" | "user_mismatch" | "user_deactivated" | "user_banned";
                };
            };
        };
        /** @description The requester is not a service. */
        ServiceRequired: {
            headers: {
                "Cache-Control": components["headers"]["CacheControl"];
                "X-Content-Type-Options": components["headers"]["ContentTypeOptions"];
                [name: string]: unknown;
            };
            content: {
                /**
                 * @example {
                 *       "error": true,
                 *       "message": "only a service may extend a call",
                 *       "type": "urn:stream-functions:user_mismatch",
                 *       "title": "userId must be the signed-in user",
                 *       "status": 403,
                 *       "detail": "only a service may extend a call",
                 *       "code": "user_mismatch",
                 *       "instance": "JKJaXmPLvHcESHA="
                 *     }
                 */
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {string} */
                    code: "user_mismatch";
                };
            };
        };
        /** @description Stream's moderation blocked the text. No other member sees the message. */
        MessageBlocked: {
            headers: {
                "Cache-Control": components["headers"]["CacheControl"];
                "X-Content-Type-Options": components["headers"]["ContentTypeOptions"];
                [name: string]: unknown;
            };
            content: {
                /**
                 * @example {
                 *       "error": true,
                 *       "message": "change the text: Stream's moderation blocked the message",
                 *       "type": "urn:stream-functions:message_blocked",
                 *       "title": "Stream blocked the message",
                 *       "status": 422,
                 *       "detail": "change the text: Stream's moderation blocked the message",
                 *       "code": "message_blocked",
                 *       "instance": "JKJaXmPLvHcESHA="
                 *     }
                 */
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {string} */
                    code: "message_blocked";
                };
            };
        };
        /** @description The user has no item in the table, or is the service user. */
        NoSuchUser: {
            headers: {
                "Cache-Control": components["headers"]["CacheControl"];
                "X-Content-Type-Options": components["headers"]["ContentTypeOptions"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {string} */
                    code: "user_not_found";
                };
            };
        };
        /** @description The call does not exist, or the requester is not a member. Both have the same body. */
        NoSuchCall: {
            headers: {
                "Cache-Control": components["headers"]["CacheControl"];
                "X-Content-Type-Options": components["headers"]["ContentTypeOptions"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {string} */
                    code: "call_not_found";
                };
            };
        };
        /** @description A user is unknown, or is the service user. Or the call does not exist, or the requester is not a member. */
        NoSuchUserOrCall: {
            headers: {
                "Cache-Control": components["headers"]["CacheControl"];
                "X-Content-Type-Options": components["headers"]["ContentTypeOptions"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {string} */
                    code: "user_not_found" | "call_not_found";
                };
            };
        };
        /** @description The user was deleted, here or at Stream. */
        UserDeleted: {
            headers: {
                "Cache-Control": components["headers"]["CacheControl"];
                "X-Content-Type-Options": components["headers"]["ContentTypeOptions"];
                [name: string]: unknown;
            };
            content: {
                /**
                 * @example {
                 *       "error": true,
                 *       "message": "The user was deleted and the id cannot be reused",
                 *       "type": "urn:stream-functions:user_deleted",
                 *       "title": "The user was deleted and the id cannot be reused",
                 *       "status": 409,
                 *       "detail": "The user was deleted and the id cannot be reused",
                 *       "code": "user_deleted",
                 *       "instance": "JKJaXmPLvHcESHA="
                 *     }
                 */
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {string} */
                    code: "user_deleted";
                };
            };
        };
        /** @description The call is not active, or the user was deleted. */
        TokenConflict: {
            headers: {
                "Cache-Control": components["headers"]["CacheControl"];
                "X-Content-Type-Options": components["headers"]["ContentTypeOptions"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {string} */
                    code: "call_ended" | "call_not_active" | "user_deleted";
                };
            };
        };
        /**
         * @description The id is used up or names another call, or the body differs from that of the first request, for instance in
         *     `maxDurationSeconds`. Or the callee is in another call. Or another attempt or another member is creating the
         *     call: then retry, after `Retry-After` if present.
         */
        CallCreateConflict: {
            headers: {
                "Cache-Control": components["headers"]["CacheControl"];
                "X-Content-Type-Options": components["headers"]["ContentTypeOptions"];
                "Retry-After": components["headers"]["RetryAfter"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {string} */
                    code: "call_ended" | "call_id_reused" | "call_not_active" | "user_busy" | "user_deleted";
                };
            };
        };
        /** @description The call has ended, or is still being created. */
        CallExtendConflict: {
            headers: {
                "Cache-Control": components["headers"]["CacheControl"];
                "X-Content-Type-Options": components["headers"]["ContentTypeOptions"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {string} */
                    code: "call_ended" | "call_not_active";
                };
            };
        };
        /** @description The call is not active yet, or never was. Or no slot is free for the batch. */
        QualityReportConflict: {
            headers: {
                "Cache-Control": components["headers"]["CacheControl"];
                "X-Content-Type-Options": components["headers"]["ContentTypeOptions"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {string} */
                    code: "call_ended" | "call_not_active" | "too_many_batches" | "user_deleted";
                };
            };
        };
        /** @description The call is not active, the id names another message, or the requester was deleted. */
        MessageSendConflict: {
            headers: {
                "Cache-Control": components["headers"]["CacheControl"];
                "X-Content-Type-Options": components["headers"]["ContentTypeOptions"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {string} */
                    code: "call_ended" | "call_not_active" | "message_id_reused" | "user_deleted";
                };
            };
        };
        /** @description The call is not active, or the requester was deleted. */
        MessageListConflict: {
            headers: {
                "Cache-Control": components["headers"]["CacheControl"];
                "X-Content-Type-Options": components["headers"]["ContentTypeOptions"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {string} */
                    code: "call_ended" | "call_not_active" | "user_deleted";
                };
            };
        };
        /** @description The body has more than 65,536 bytes (262,144 for `webhook`). From API Gateway, more than 10 MB. */
        BodyTooLarge: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                /**
                 * @example {
                 *       "error": true,
                 *       "message": "the body may have 65536 bytes at most",
                 *       "type": "urn:stream-functions:body_too_large",
                 *       "title": "The body is too large",
                 *       "status": 413,
                 *       "detail": "the body may have 65536 bytes at most",
                 *       "code": "body_too_large",
                 *       "instance": "JKJaXmPLvHcESHA="
                 *     }
                 */
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {string} */
                    code: "body_too_large";
                };
                /**
                 * @example {
                 *       "message": "Request Entity Too Large"
                 *     }
                 */
                "application/json": components["schemas"]["GatewayMessage"];
            };
        };
        /** @description `Content-Type` is neither absent nor `application/json`. */
        UnsupportedMediaType: {
            headers: {
                "Cache-Control": components["headers"]["CacheControl"];
                "X-Content-Type-Options": components["headers"]["ContentTypeOptions"];
                [name: string]: unknown;
            };
            content: {
                /**
                 * @example {
                 *       "error": true,
                 *       "message": "send the body as application/json",
                 *       "type": "urn:stream-functions:unsupported_media_type",
                 *       "title": "The body must be JSON",
                 *       "status": 415,
                 *       "detail": "send the body as application/json",
                 *       "code": "unsupported_media_type",
                 *       "instance": "JKJaXmPLvHcESHA="
                 *     }
                 */
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {string} */
                    code: "unsupported_media_type";
                };
            };
        };
        /**
         * @description The user has reached the limit of this clock minute. The request had no effect, and `Retry-After` is the time
         *     until the next minute. From API Gateway, all users together exceed the deployment's throttle.
         */
        TooManyRequests: {
            headers: {
                "Retry-After": components["headers"]["RetryAfter"];
                [name: string]: unknown;
            };
            content: {
                /**
                 * @example {
                 *       "error": true,
                 *       "message": "The user sent too many requests in this minute",
                 *       "type": "urn:stream-functions:too_many_requests",
                 *       "title": "The user sent too many requests in this minute",
                 *       "status": 429,
                 *       "detail": "The user sent too many requests in this minute",
                 *       "code": "too_many_requests",
                 *       "instance": "JKJaXmPLvHcESHA="
                 *     }
                 */
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {string} */
                    code: "too_many_requests";
                };
                /**
                 * @example {
                 *       "message": "Too Many Requests"
                 *     }
                 */
                "application/json": components["schemas"]["GatewayMessage"];
            };
        };
        /** @description From API Gateway, if all users together exceed the deployment's throttle. */
        Throttled: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                /**
                 * @example {
                 *       "message": "Too Many Requests"
                 *     }
                 */
                "application/json": components["schemas"]["GatewayMessage"];
            };
        };
        /**
         * @description The function failed; the log has the cause with the same `instance`. From API Gateway, the function does not
         *     start, or has died.
         */
        Internal: {
            headers: {
                [name: string]: unknown;
            };
            content: {
                /**
                 * @example {
                 *       "error": true,
                 *       "message": "The service failed internally",
                 *       "type": "urn:stream-functions:internal",
                 *       "title": "The service failed internally",
                 *       "status": 500,
                 *       "detail": "The service failed internally",
                 *       "code": "internal",
                 *       "instance": "JKJaXmPLvHcESHA="
                 *     }
                 */
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {string} */
                    code: "internal";
                };
                /**
                 * @example {
                 *       "message": "Internal Server Error"
                 *     }
                 */
                "application/json": components["schemas"]["GatewayMessage"];
            };
        };
        /** @description Stream rejected the credentials or the request, or its response is invalid. */
        StreamRefused: {
            headers: {
                "Cache-Control": components["headers"]["CacheControl"];
                "X-Content-Type-Options": components["headers"]["ContentTypeOptions"];
                [name: string]: unknown;
            };
            content: {
                /**
                 * @example {
                 *       "error": true,
                 *       "message": "Stream rejected the request",
                 *       "type": "urn:stream-functions:stream_refused",
                 *       "title": "Stream rejected the request",
                 *       "status": 502,
                 *       "detail": "Stream rejected the request",
                 *       "code": "stream_refused",
                 *       "instance": "JKJaXmPLvHcESHA="
                 *     }
                 */
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {string} */
                    code: "stream_rejected_credentials" | "stream_refused" | "stream_bad_answer";
                };
            };
        };
        /**
         * @description Stream, the database, the issuer's keys or the function's secrets cannot be reached, or Stream is not
         *     configured. The request may have had an effect: repeat it with the same ids. From API Gateway, the function
         *     takes too long.
         */
        StreamOrStoreUnavailable: {
            headers: {
                "Retry-After": components["headers"]["RetryAfter"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {string} */
                    code: "stream_not_configured" | "keys_unavailable" | "secrets_unavailable" | "stream_busy" | "stream_unavailable" | "store_unavailable";
                };
                /**
                 * @example {
                 *       "message": "Service Unavailable"
                 *     }
                 */
                "application/json": components["schemas"]["GatewayMessage"];
            };
        };
        /**
         * @description The database, the issuer's keys or the function's secrets cannot be reached, or Stream is not configured. The
         *     request may have had an effect: repeat it with the same ids. From API Gateway, the function takes too long.
         */
        StoreUnavailable: {
            headers: {
                "Retry-After": components["headers"]["RetryAfter"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {string} */
                    code: "stream_not_configured" | "keys_unavailable" | "secrets_unavailable" | "store_unavailable";
                };
                /**
                 * @example {
                 *       "message": "Service Unavailable"
                 *     }
                 */
                "application/json": components["schemas"]["GatewayMessage"];
            };
        };
        /** @description The issuer's keys or the function's secrets cannot be reached. From API Gateway, the function takes too long. */
        KeysUnavailable: {
            headers: {
                "Retry-After": components["headers"]["RetryAfter"];
                [name: string]: unknown;
            };
            content: {
                /**
                 * @example {
                 *       "error": true,
                 *       "message": "The issuer's keys cannot be fetched",
                 *       "type": "urn:stream-functions:keys_unavailable",
                 *       "title": "The issuer's keys cannot be fetched",
                 *       "status": 503,
                 *       "detail": "The issuer's keys cannot be fetched",
                 *       "code": "keys_unavailable",
                 *       "instance": "JKJaXmPLvHcESHA="
                 *     }
                 */
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {string} */
                    code: "keys_unavailable" | "secrets_unavailable";
                };
                /**
                 * @example {
                 *       "message": "Service Unavailable"
                 *     }
                 */
                "application/json": components["schemas"]["GatewayMessage"];
            };
        };
        /**
         * @description The function's secrets cannot be reached, or Stream is not configured. From API Gateway, the function takes too
         *     long.
         */
        NotReady: {
            headers: {
                "Retry-After": components["headers"]["RetryAfter"];
                [name: string]: unknown;
            };
            content: {
                /**
                 * @example {
                 *       "error": true,
                 *       "message": "Stream's credentials are not configured",
                 *       "type": "urn:stream-functions:stream_not_configured",
                 *       "title": "Stream's credentials are not configured",
                 *       "status": 503,
                 *       "detail": "Stream's credentials are not configured",
                 *       "code": "stream_not_configured",
                 *       "instance": "JKJaXmPLvHcESHA="
                 *     }
                 */
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {unknown} */
                    code?: "stream_not_configured" | "secrets_unavailable";
                };
                /**
                 * @example {
                 *       "message": "Service Unavailable"
                 *     }
                 */
                "application/json": components["schemas"]["GatewayMessage"];
            };
        };
        /**
         * @description The database or the function's secrets cannot be reached, or Stream is not configured. From API Gateway, the
         *     function takes too long.
         */
        WebhookUnavailable: {
            headers: {
                "Retry-After": components["headers"]["RetryAfter"];
                [name: string]: unknown;
            };
            content: {
                "application/problem+json": components["schemas"]["Problem"] & {
                    /** @enum {string} */
                    code: "stream_not_configured" | "secrets_unavailable" | "store_unavailable";
                };
                /**
                 * @example {
                 *       "message": "Service Unavailable"
                 *     }
                 */
                "application/json": components["schemas"]["GatewayMessage"];
            };
        };
    };
    parameters: {
        /**
         * @description The `callId` of the response of `POST /call/create`.
         * @example demo-1
         */
        CallId: components["schemas"]["CallId"];
        /**
         * @description The chat channel of the call.
         * @example call-demo-1
         */
        ChannelId: components["schemas"]["ChannelId"];
        /**
         * @description The requester; for a service, any user.
         * @example alice
         */
        UserId: components["schemas"]["UserId"];
    };
    requestBodies: never;
    headers: {
        CacheControl: "no-store";
        ContentTypeOptions: "nosniff";
        /** @description Only with an SVG chart. */
        ContentSecurityPolicy: "default-src 'none'; style-src 'unsafe-inline'; sandbox";
        /** @description Seconds to wait before a retry, if a retry can succeed. */
        RetryAfter: number;
        Bearer: "Bearer";
        StreamSignature: "Stream-Signature";
    };
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    token: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["TokenRequest"];
            };
        };
        responses: {
            /** @description The token. */
            200: {
                headers: {
                    "Cache-Control": components["headers"]["CacheControl"];
                    "X-Content-Type-Options": components["headers"]["ContentTypeOptions"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "error": false,
                     *       "message": "Token created",
                     *       "token": "header.claims.signature",
                     *       "apiKey": "key-of-the-stream-app",
                     *       "userId": "alice",
                     *       "expiresAt": "2026-01-02T12:00:00.000Z",
                     *       "refreshAfter": "2026-01-02T07:12:00.000Z"
                     *     }
                     */
                    "application/json": components["schemas"]["TokenResponse"];
                };
            };
            400: components["responses"]["BadBody"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["NoToken"];
            404: components["responses"]["NoSuchUserOrCall"];
            409: components["responses"]["TokenConflict"];
            413: components["responses"]["BodyTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            429: components["responses"]["TooManyRequests"];
            500: components["responses"]["Internal"];
            502: components["responses"]["StreamRefused"];
            503: components["responses"]["StreamOrStoreUnavailable"];
        };
    };
    "token-revoke": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: {
            content: {
                "application/json": components["schemas"]["TokenRevokeRequest"];
            };
        };
        responses: {
            /** @description The tokens are revoked, and the devices are removed. */
            200: {
                headers: {
                    "Cache-Control": components["headers"]["CacheControl"];
                    "X-Content-Type-Options": components["headers"]["ContentTypeOptions"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "error": false,
                     *       "message": "Tokens revoked",
                     *       "userId": "alice",
                     *       "revokedAt": "2026-01-01T12:00:00.000Z",
                     *       "devicesRemoved": 2
                     *     }
                     */
                    "application/json": components["schemas"]["TokenRevokeResponse"];
                };
            };
            400: components["responses"]["BadBody"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["UserMismatch"];
            404: components["responses"]["NoSuchUser"];
            409: components["responses"]["UserDeleted"];
            413: components["responses"]["BodyTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            429: components["responses"]["TooManyRequests"];
            500: components["responses"]["Internal"];
            502: components["responses"]["StreamRefused"];
            503: components["responses"]["StreamOrStoreUnavailable"];
        };
    };
    "user-upsert": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["UserUpsertRequest"];
            };
        };
        responses: {
            /** @description The user after the change. */
            200: {
                headers: {
                    "Cache-Control": components["headers"]["CacheControl"];
                    "X-Content-Type-Options": components["headers"]["ContentTypeOptions"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "error": false,
                     *       "message": "User saved",
                     *       "user": {
                     *         "id": "alice",
                     *         "name": "Alice",
                     *         "language": "en",
                     *         "custom": {
                     *           "plan": "gold"
                     *         },
                     *         "role": "user"
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["UserUpsertResponse"];
                };
            };
            400: components["responses"]["BadBody"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["UserRefused"];
            409: components["responses"]["UserDeleted"];
            413: components["responses"]["BodyTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            429: components["responses"]["TooManyRequests"];
            500: components["responses"]["Internal"];
            502: components["responses"]["StreamRefused"];
            503: components["responses"]["StreamOrStoreUnavailable"];
        };
    };
    "user-delete": {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description The requester; for a service, any user.
                 * @example alice
                 */
                userId: components["parameters"]["UserId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description All data is deleted. */
            200: {
                headers: {
                    "Cache-Control": components["headers"]["CacheControl"];
                    "X-Content-Type-Options": components["headers"]["ContentTypeOptions"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "error": false,
                     *       "message": "User deleted",
                     *       "userId": "alice",
                     *       "status": "deleted"
                     *     }
                     */
                    "application/json": components["schemas"]["UserDeleteResponse"] & {
                        /** @constant */
                        status: "deleted";
                    };
                };
            };
            /** @description The user id is blocked. The remaining data is deleted within the next minutes. */
            202: {
                headers: {
                    "Cache-Control": components["headers"]["CacheControl"];
                    "X-Content-Type-Options": components["headers"]["ContentTypeOptions"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "error": false,
                     *       "message": "User is being deleted",
                     *       "userId": "alice",
                     *       "status": "deleting"
                     *     }
                     */
                    "application/json": components["schemas"]["UserDeleteResponse"] & {
                        /** @constant */
                        status: "deleting";
                    };
                };
            };
            400: components["responses"]["BadId"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["UserMismatch"];
            404: components["responses"]["NoSuchUser"];
            413: components["responses"]["BodyTooLarge"];
            429: components["responses"]["Throttled"];
            500: components["responses"]["Internal"];
            503: components["responses"]["StoreUnavailable"];
        };
    };
    "call-list": {
        parameters: {
            query?: {
                /**
                 * @description `open` selects the calls with the `status` `active`, and `ended` those with `ending` or `ended`. By default
                 *     both are listed.
                 * @example ended
                 */
                state?: "open" | "ended";
                /**
                 * @description The maximum number of calls.
                 * @example 10
                 */
                limit?: number;
                /**
                 * @description `next` of an earlier response to a request with the same `state`. Any other value can be 400
                 *     `invalid_query`.
                 * @example RU5ERUQjMTc2NzI2ODgwMDAwMCNkZW1vLTE
                 */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of calls. */
            200: {
                headers: {
                    "Cache-Control": components["headers"]["CacheControl"];
                    "X-Content-Type-Options": components["headers"]["ContentTypeOptions"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "error": false,
                     *       "message": "Calls",
                     *       "calls": [
                     *         {
                     *           "callId": "demo-1",
                     *           "callCid": "default:demo-1",
                     *           "channelId": "call-demo-1",
                     *           "channelCid": "messaging:call-demo-1",
                     *           "callType": "voice",
                     *           "members": [
                     *             "alice",
                     *             "bob"
                     *           ],
                     *           "callSettings": {
                     *             "audio": true,
                     *             "video": false,
                     *             "screen_sharing": false,
                     *             "recording": false,
                     *             "transcribing": false
                     *           },
                     *           "status": "ended",
                     *           "createdAt": "2026-01-01T12:00:00.000Z",
                     *           "startedAt": "2026-01-01T12:00:05.250Z",
                     *           "answeredAt": "2026-01-01T12:00:09.500Z",
                     *           "endsAt": "2026-01-01T16:00:05.250Z",
                     *           "endedAt": "2026-01-01T12:01:33.000Z",
                     *           "endReason": "hangup",
                     *           "endedBy": {
                     *             "kind": "user",
                     *             "userId": "bob"
                     *           },
                     *           "answered": true,
                     *           "durationSeconds": 84,
                     *           "talkSeconds": 80,
                     *           "settled": true
                     *         }
                     *       ],
                     *       "next": "RU5ERUQjMTc2NzI2ODgwMDAwMCNkZW1vLTE"
                     *     }
                     */
                    "application/json": components["schemas"]["CallListResponse"];
                };
            };
            400: components["responses"]["BadQuery"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["InactiveUser"];
            409: components["responses"]["UserDeleted"];
            413: components["responses"]["BodyTooLarge"];
            429: components["responses"]["Throttled"];
            500: components["responses"]["Internal"];
            503: components["responses"]["StoreUnavailable"];
        };
    };
    "call-create": {
        parameters: {
            query?: never;
            header?: {
                /**
                 * @description Identifies the call if there is no `callId`: the same key of the same owner is the same call. It must have
                 *     1 to 255 visible ASCII characters, otherwise the response is 400 `invalid_header`. If the first request
                 *     returned another call, a repeat returns that call for 24 hours, and 409 `call_ended` once that call has
                 *     ended. A repeat rings no phone once the first request has succeeded. After an attempt that failed halfway,
                 *     a repeat can ring a second time.
                 * @example 5b0f2c1e-7d5a-4c39-9e84-5a1d3f7b2c60
                 */
                "Idempotency-Key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CallCreateRequest"];
            };
        };
        responses: {
            /** @description The new or the existing call. */
            200: {
                headers: {
                    "Cache-Control": components["headers"]["CacheControl"];
                    "X-Content-Type-Options": components["headers"]["ContentTypeOptions"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "error": false,
                     *       "message": "Call created",
                     *       "callId": "demo-1",
                     *       "callCid": "default:demo-1",
                     *       "channelId": "call-demo-1",
                     *       "channelCid": "messaging:call-demo-1",
                     *       "callType": "video",
                     *       "members": [
                     *         "alice",
                     *         "bob"
                     *       ],
                     *       "callSettings": {
                     *         "audio": true,
                     *         "video": true,
                     *         "screen_sharing": true,
                     *         "recording": false,
                     *         "transcribing": false
                     *       },
                     *       "status": "active",
                     *       "createdAt": "2026-01-01T12:00:00.000Z",
                     *       "answered": false,
                     *       "settled": false,
                     *       "created": true,
                     *       "rung": false
                     *     }
                     */
                    "application/json": components["schemas"]["CallCreateResponse"];
                };
            };
            400: components["responses"]["BadCallCreate"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["CallCreateRefused"];
            404: components["responses"]["NoSuchUserOrCall"];
            409: components["responses"]["CallCreateConflict"];
            413: components["responses"]["BodyTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            429: components["responses"]["TooManyRequests"];
            500: components["responses"]["Internal"];
            502: components["responses"]["StreamRefused"];
            503: components["responses"]["StreamOrStoreUnavailable"];
        };
    };
    "call-end": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CallEndRequest"];
            };
        };
        responses: {
            /** @description The call is over and cleaned up at Stream. */
            200: {
                headers: {
                    "Cache-Control": components["headers"]["CacheControl"];
                    "X-Content-Type-Options": components["headers"]["ContentTypeOptions"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "error": false,
                     *       "message": "Call ended",
                     *       "callId": "demo-1",
                     *       "channelId": "call-demo-1",
                     *       "status": "ended",
                     *       "durationSeconds": 93
                     *     }
                     */
                    "application/json": components["schemas"]["CallEndResponse"] & {
                        /** @constant */
                        status: "ended";
                    };
                };
            };
            /**
             * @description The call is over; the cleanup at Stream follows. Stream could not be reached, or too many calls end in one
             *     minute.
             */
            202: {
                headers: {
                    "Cache-Control": components["headers"]["CacheControl"];
                    "X-Content-Type-Options": components["headers"]["ContentTypeOptions"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "error": false,
                     *       "message": "Call is ending",
                     *       "callId": "demo-1",
                     *       "channelId": "call-demo-1",
                     *       "status": "ending",
                     *       "durationSeconds": 93
                     *     }
                     */
                    "application/json": components["schemas"]["CallEndResponse"] & {
                        /** @constant */
                        status: "ending";
                    };
                };
            };
            400: components["responses"]["BadCallEnd"];
            401: components["responses"]["Unauthenticated"];
            404: components["responses"]["NoSuchCall"];
            413: components["responses"]["BodyTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            429: components["responses"]["Throttled"];
            500: components["responses"]["Internal"];
            503: components["responses"]["StoreUnavailable"];
        };
    };
    "call-get": {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description The `callId` of the response of `POST /call/create`.
                 * @example demo-1
                 */
                callId: components["parameters"]["CallId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The call. */
            200: {
                headers: {
                    "Cache-Control": components["headers"]["CacheControl"];
                    "X-Content-Type-Options": components["headers"]["ContentTypeOptions"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "error": false,
                     *       "message": "Call",
                     *       "callId": "demo-1",
                     *       "callCid": "default:demo-1",
                     *       "channelId": "call-demo-1",
                     *       "channelCid": "messaging:call-demo-1",
                     *       "callType": "voice",
                     *       "members": [
                     *         "alice",
                     *         "bob"
                     *       ],
                     *       "callSettings": {
                     *         "audio": true,
                     *         "video": false,
                     *         "screen_sharing": false,
                     *         "recording": false,
                     *         "transcribing": false
                     *       },
                     *       "status": "ended",
                     *       "createdAt": "2026-01-01T12:00:00.000Z",
                     *       "startedAt": "2026-01-01T12:00:05.250Z",
                     *       "answeredAt": "2026-01-01T12:00:09.500Z",
                     *       "endsAt": "2026-01-01T16:00:05.250Z",
                     *       "endedAt": "2026-01-01T12:01:33.000Z",
                     *       "endReason": "hangup",
                     *       "endedBy": {
                     *         "kind": "user",
                     *         "userId": "bob"
                     *       },
                     *       "answered": true,
                     *       "durationSeconds": 84,
                     *       "talkSeconds": 80,
                     *       "settled": false
                     *     }
                     */
                    "application/json": components["schemas"]["CallGetResponse"];
                };
            };
            400: components["responses"]["BadId"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["InactiveUser"];
            404: components["responses"]["NoSuchCall"];
            409: components["responses"]["UserDeleted"];
            413: components["responses"]["BodyTooLarge"];
            429: components["responses"]["Throttled"];
            500: components["responses"]["Internal"];
            503: components["responses"]["StoreUnavailable"];
        };
    };
    "call-extend": {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description The `callId` of the response of `POST /call/create`.
                 * @example demo-1
                 */
                callId: components["parameters"]["CallId"];
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "maxDurationSeconds": 7200
                 *     }
                 */
                "application/json": components["schemas"]["CallExtendRequest"];
            };
        };
        responses: {
            /** @description The call with its new end. */
            200: {
                headers: {
                    "Cache-Control": components["headers"]["CacheControl"];
                    "X-Content-Type-Options": components["headers"]["ContentTypeOptions"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "error": false,
                     *       "message": "Call extended",
                     *       "callId": "demo-1",
                     *       "callCid": "default:demo-1",
                     *       "channelId": "call-demo-1",
                     *       "channelCid": "messaging:call-demo-1",
                     *       "callType": "video",
                     *       "members": [
                     *         "alice",
                     *         "bob"
                     *       ],
                     *       "callSettings": {
                     *         "audio": true,
                     *         "video": true,
                     *         "screen_sharing": true,
                     *         "recording": false,
                     *         "transcribing": false
                     *       },
                     *       "status": "active",
                     *       "createdAt": "2026-01-01T12:00:00.000Z",
                     *       "startedAt": "2026-01-01T12:00:05.250Z",
                     *       "answered": false,
                     *       "settled": false,
                     *       "endsAt": "2026-01-01T14:00:05.250Z"
                     *     }
                     */
                    "application/json": components["schemas"]["CallExtendResponse"];
                };
            };
            400: components["responses"]["BadIdOrBody"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["ServiceRequired"];
            404: components["responses"]["NoSuchCall"];
            409: components["responses"]["CallExtendConflict"];
            413: components["responses"]["BodyTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            429: components["responses"]["Throttled"];
            500: components["responses"]["Internal"];
            502: components["responses"]["StreamRefused"];
            503: components["responses"]["StreamOrStoreUnavailable"];
        };
    };
    "call-quality": {
        parameters: {
            query?: {
                /**
                 * @description JSON or an SVG chart. It takes precedence over `Accept`.
                 * @example json
                 */
                format?: "json" | "svg";
                /**
                 * @description The width of the chart in pixels; the height follows.
                 * @example 360
                 */
                width?: number;
                /**
                 * @description The colours of the chart. With `auto` it has both, and follows the setting of the viewer.
                 * @example auto
                 */
                theme?: "light" | "dark" | "auto";
            };
            header?: never;
            path: {
                /**
                 * @description The `callId` of the response of `POST /call/create`.
                 * @example demo-1
                 */
                callId: components["parameters"]["CallId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The quality. */
            200: {
                headers: {
                    "Cache-Control": components["headers"]["CacheControl"];
                    "X-Content-Type-Options": components["headers"]["ContentTypeOptions"];
                    "Content-Security-Policy": components["headers"]["ContentSecurityPolicy"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CallQualityResponse"];
                    /** @example <svg width="800" height="600" viewBox="0 0 800 600" xmlns="http://www.w3.org/2000/svg"></svg> */
                    "image/svg+xml": string;
                };
            };
            400: components["responses"]["BadIdOrQuery"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["InactiveUser"];
            404: components["responses"]["NoSuchCall"];
            409: components["responses"]["UserDeleted"];
            413: components["responses"]["BodyTooLarge"];
            429: components["responses"]["TooManyRequests"];
            500: components["responses"]["Internal"];
            503: components["responses"]["StoreUnavailable"];
        };
    };
    "quality-report": {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * @description The `callId` of the response of `POST /call/create`.
                 * @example demo-1
                 */
                callId: components["parameters"]["CallId"];
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "batchId": "alice-1",
                 *       "platform": "ios",
                 *       "deviceId": "7d0c5a52-4f0e-4c5b-9b0e-2f6a1c3d8e90",
                 *       "samples": [
                 *         {
                 *           "timestamp": 1767268825000,
                 *           "direction": "inbound",
                 *           "roundTripTime": 0.082,
                 *           "jitter": 0.006,
                 *           "packetsLost": 2,
                 *           "packetsReceived": 498
                 *         }
                 *       ]
                 *     }
                 */
                "application/json": components["schemas"]["QualityReportRequest"];
            };
        };
        responses: {
            /** @description The samples are stored. */
            200: {
                headers: {
                    "Cache-Control": components["headers"]["CacheControl"];
                    "X-Content-Type-Options": components["headers"]["ContentTypeOptions"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "error": false,
                     *       "message": "Samples accepted",
                     *       "accepted": 1
                     *     }
                     */
                    "application/json": components["schemas"]["QualityReportResponse"];
                };
            };
            400: components["responses"]["BadIdOrBody"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["InactiveUser"];
            404: components["responses"]["NoSuchCall"];
            409: components["responses"]["QualityReportConflict"];
            413: components["responses"]["BodyTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            429: components["responses"]["TooManyRequests"];
            500: components["responses"]["Internal"];
            503: components["responses"]["StoreUnavailable"];
        };
    };
    "message-send": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "channelId": "call-demo-1",
                 *       "message": "Hello Bob",
                 *       "messageId": "alice-42"
                 *     }
                 */
                "application/json": components["schemas"]["MessageSendRequest"];
            };
        };
        responses: {
            /** @description The message is sent. */
            200: {
                headers: {
                    "Cache-Control": components["headers"]["CacheControl"];
                    "X-Content-Type-Options": components["headers"]["ContentTypeOptions"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "error": false,
                     *       "message": "Message sent",
                     *       "messageData": {
                     *         "id": "alice-42",
                     *         "channelId": "call-demo-1",
                     *         "text": "Hello Bob",
                     *         "type": "regular",
                     *         "user": {
                     *           "id": "alice",
                     *           "name": "Alice",
                     *           "image": null
                     *         },
                     *         "createdAt": "2026-01-01T12:00:21.548Z",
                     *         "updatedAt": "2026-01-01T12:00:21.548Z"
                     *       }
                     *     }
                     */
                    "application/json": components["schemas"]["MessageSendResponse"];
                };
            };
            400: components["responses"]["BadBody"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["InactiveUser"];
            404: components["responses"]["NoSuchCall"];
            409: components["responses"]["MessageSendConflict"];
            413: components["responses"]["BodyTooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["MessageBlocked"];
            429: components["responses"]["TooManyRequests"];
            500: components["responses"]["Internal"];
            502: components["responses"]["StreamRefused"];
            503: components["responses"]["StreamOrStoreUnavailable"];
        };
    };
    "message-list": {
        parameters: {
            query?: {
                /**
                 * @description The maximum number of messages.
                 * @example 20
                 */
                limit?: number;
                /**
                 * @description Return only messages older than the message with this id.
                 * @example alice-42
                 */
                before?: components["schemas"]["MessageId"];
            };
            header?: never;
            path: {
                /**
                 * @description The chat channel of the call.
                 * @example call-demo-1
                 */
                channelId: components["parameters"]["ChannelId"];
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description A page of messages. */
            200: {
                headers: {
                    "Cache-Control": components["headers"]["CacheControl"];
                    "X-Content-Type-Options": components["headers"]["ContentTypeOptions"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "error": false,
                     *       "message": "Messages",
                     *       "messages": [
                     *         {
                     *           "id": "alice-42",
                     *           "channelId": "call-demo-1",
                     *           "text": "Hello Bob",
                     *           "type": "regular",
                     *           "user": {
                     *             "id": "alice",
                     *             "name": "Alice",
                     *             "image": null
                     *           },
                     *           "createdAt": "2026-01-01T12:00:21.548Z",
                     *           "updatedAt": "2026-01-01T12:00:21.548Z"
                     *         }
                     *       ],
                     *       "hasMore": true,
                     *       "next": "alice-42"
                     *     }
                     */
                    "application/json": components["schemas"]["MessageListResponse"];
                };
            };
            400: components["responses"]["BadIdOrQuery"];
            401: components["responses"]["Unauthenticated"];
            403: components["responses"]["InactiveUser"];
            404: components["responses"]["NoSuchCall"];
            409: components["responses"]["MessageListConflict"];
            413: components["responses"]["BodyTooLarge"];
            429: components["responses"]["Throttled"];
            500: components["responses"]["Internal"];
            502: components["responses"]["StreamRefused"];
            503: components["responses"]["StreamOrStoreUnavailable"];
        };
    };
    config: {
        parameters: {
            query?: {
                /**
                 * @description Whether Stream and the table are checked.
                 * @example true
                 */
                deep?: boolean;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The configuration. */
            200: {
                headers: {
                    "Cache-Control": components["headers"]["CacheControl"];
                    "X-Content-Type-Options": components["headers"]["ContentTypeOptions"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ConfigResponse"];
                };
            };
            400: components["responses"]["BadQuery"];
            401: components["responses"]["Unauthenticated"];
            413: components["responses"]["BodyTooLarge"];
            429: components["responses"]["Throttled"];
            500: components["responses"]["Internal"];
            503: components["responses"]["KeysUnavailable"];
        };
    };
    health: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The deployment is alive and configured. */
            200: {
                headers: {
                    "Cache-Control": components["headers"]["CacheControl"];
                    "X-Content-Type-Options": components["headers"]["ContentTypeOptions"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "error": false,
                     *       "message": "Healthy"
                     *     }
                     */
                    "application/json": components["schemas"]["HealthResponse"];
                };
            };
            413: components["responses"]["BodyTooLarge"];
            429: components["responses"]["Throttled"];
            500: components["responses"]["Internal"];
            503: components["responses"]["NotReady"];
        };
    };
    webhook: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "type": "call.session_started",
                 *       "created_at": "2026-01-01T12:00:21.734156208Z",
                 *       "call_cid": "default:demo-1",
                 *       "session_id": "0b2f6c1e-7d5a-4c39-9e84-5a1d3f7b2c60"
                 *     }
                 */
                "application/json": components["schemas"]["Event"];
            };
        };
        responses: {
            /** @description The event is processed. */
            200: {
                headers: {
                    "Cache-Control": components["headers"]["CacheControl"];
                    "X-Content-Type-Options": components["headers"]["ContentTypeOptions"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "error": false,
                     *       "message": "Event processed"
                     *     }
                     */
                    "application/json": components["schemas"]["Envelope"];
                };
            };
            400: components["responses"]["BadEvent"];
            401: components["responses"]["BadSignature"];
            413: components["responses"]["BodyTooLarge"];
            429: components["responses"]["Throttled"];
            500: components["responses"]["Internal"];
            503: components["responses"]["WebhookUnavailable"];
        };
    };
}
