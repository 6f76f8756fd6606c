// Package flows tests what the service does with a flow that a team has added: from the bus to the log, with what is early, late, repeated or
// contradictory on the way. The flow is that of internal/testflow.
package flows
