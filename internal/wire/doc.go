// Package wire encodes and decodes events on the bus: the type of messages, the formats that are read, and the format that is written.
//
// It may import event, internal/fault and internal/jsondoc, and no client of a broker, so that all formats can be tested and fuzzed without
// one.
//
// # Contract
//
// Decode supports these formats, tried in this order:
//   - CloudEvents 1.0, structured: content type application/cloudevents+json, or a body with specversion;
//   - CloudEvents 1.0, binary: headers cloudEvents:<name>, cloudEvents_<name> or ce-<name>, with the data as body;
//   - NestJS: {"pattern": …, "data": …}, where data is the payload or a complete event;
//   - plain events: id, type or eventType, timestamp or occurredAt, aggregateId, data, correlationId; without data, all other fields
//     are the data.
//
// Encode writes only structured CloudEvents. Decode(Encode(r)) is the event of r.
//
// Both are pure and safe for concurrent use. Errors have a code of internal/fault and, for Malformed and Invalid, the JSON pointer of the
// field; their messages are safe for clients.
package wire
