// Package participanttest is a correct participant, for tests: an inventory and a payment service of api/participant.yaml, and faults
// between it and its caller.
package participanttest
