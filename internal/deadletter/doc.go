// Package deadletter stores messages that could not be handled, lists them, and replays or discards them. None is lost when a process dies.
//
// It may import event and internal/{wire,cursor,null,text,fault}, and no driver: store, log and inbox are small interfaces with adapters in
// internal/mongo, internal/rabbitmq and internal/service.
//
// # Contract
//
// Storing: a Receiver inserts a letter before its message is acknowledged. The ID of a letter is derived from the message: body, IDs, origin,
// reason, time of death, and the death ID that the consumer adds. A redelivery of the same message is the same letter; an event that is
// dead-lettered again later, or another message with equal bytes, is a different letter. The broker adds no death ID: there, a message on its
// first delivery differs from every stored letter.
//
// Events: decisions about a letter are in the stream dead-<id>, whose fold is the letter's state. Events have the SHA-256 of a body, never the
// body itself: bodies are only in the store.
//
// Replaying: dead.replay_requested is appended, then the message is sent to the inbox and confirmed, then dead.replayed is appended. After an
// interruption the letter is replaying, and another replay completes it: the message may then be sent twice, which has no effect, because
// handlers are idempotent by event ID. A letter that was replayed, retried or discarded, or whose message has been replayed MaxReplays times
// (default 3), is not sent again unless the request is forced.
//
// Messages that the broker dead-lettered: a message that was delivered too often without an acknowledgement may be valid. When a process is
// killed, all messages that it held count a delivery, not only the one that caused it. So a Receiver handles such a message once more:
// alone, with no other message in this receiver; not through the inbox, where it would be among others again. Before that it appends
// dead.retry_begun with an attempt ID, and only the writer of that event makes the attempt. A message that ends the process a second time
// finds the slot taken when it is redelivered, and is left for operators (dead.retry_failed, reason interrupted). If the retry fails with a
// retryable error, because a server is down or the order is not known yet, the message is harmless and is replayed to the inbox.
//
// Concurrency: Receiver and Service are safe for concurrent use, also by several processes.
//
// Errors: NotFound, Invalid, ResolutionRefused with the reason, Unavailable.
package deadletter
