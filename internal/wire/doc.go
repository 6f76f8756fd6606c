// Package wire encodes and decodes events on the bus: what a message is, which formats are understood, and the one
// format that is written.
//
// It may import event, internal/fault and internal/jsondoc; it imports no client of any broker, so that every format can
// be tested and fuzzed without one.
//
// # Contract
//
// Decode understands, tried in this order:
//   - CloudEvents 1.0, structured: content type application/cloudevents+json, or a body with specversion;
//   - CloudEvents 1.0, binary: headers cloudEvents:<name>, cloudEvents_<name> or ce-<name>, the body is the data;
//   - what NestJS sends: {"pattern": …, "data": …}, where data is the payload or an event of its own;
//   - the plain event: id, type or eventType, timestamp or occurredAt, aggregateId, data, correlationId; without
//     data, every other field of the object is the data.
//
// Encode writes structured CloudEvents only. Decode(Encode(r)) is r's event.
//
// Both are pure: same input, same output, no clock and no randomness; any number of goroutines may call them.
// Errors carry a code of internal/fault and, for Malformed and Invalid, the JSON pointer of the field; their
// messages are safe to show.
package wire
