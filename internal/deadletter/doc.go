// Package deadletter keeps messages that could not be handled, shows them, and replays or discards them. None is lost,
// whatever dies meanwhile.
//
// It may import event and internal/{wire,cursor,null,text,fault}; it reaches no driver: the store, the log and the way back to the
// inbox are small interfaces, whose adapters are in internal/mongo, internal/rabbitmq and internal/service.
//
// # Contract
//
// Keeping: a Keeper inserts a letter before its message is acknowledged. The letter's id is made from what the message
// says of itself: body, ids, origin, reason, when it died, and an id that the consumer gave that death. The same message delivered
// again is the same letter; the same event that dies again later is another one, and so is another message of the same bytes
// that dies at the same time. The broker gives deaths no id: there, a message that is delivered for the first time is another one
// than every letter that is kept.
//
// Events: what was decided about a letter is in the stream dead-<id>, whose fold is its state. Events carry the
// SHA-256 of a payload, never the payload: payloads are in the store alone.
//
// Replaying: first dead.replay_requested is appended, then the message is sent to the inbox and confirmed, then
// dead.replayed is appended. What breaks off in between is a letter that is replaying, and replaying it again finishes
// it: the message may be sent twice then, which changes nothing, because every handler is idempotent by the event's id.
// What was replayed, retried or discarded is not sent again unless it is insisted on, nor is what has come back from
// MaxReplays replays, 3 by default.
//
// What the broker gave up on: a message that was delivered too often without being acknowledged may be healthy. A process
// that is killed counts against every message that it held, not only against the one that killed it. So a Keeper handles
// such a message once more by itself: alone, with nothing else on its way through this keeper; not through the inbox,
// where it would be among others again. dead.retry_begun is appended before, with an id of this attempt, and only
// its writer makes the attempt. A message that ends the process a second time finds the slot taken when it is
// delivered again, and is left for operators (dead.retry_failed, reason interrupted). When the answer asks for another try,
// because a server is down or the order is not known yet, the message does no harm, and is replayed into the inbox.
//
// Threads: Keeper and Service may be used by any number of goroutines and processes at once.
//
// Errors: NotFound, Invalid, ResolutionRefused with the reason, Unavailable.
package deadletter
