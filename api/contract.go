package api

import _ "embed" // the contract

// ParticipantContract is the OpenAPI document of what the service calls when a team has its own warehouse or payment service.
//
//go:embed participant.yaml
var ParticipantContract []byte
