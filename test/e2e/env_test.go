package e2e

import "os"

// amqpURL is where the broker is.
func amqpURL() string { return os.Getenv("AMQP_URL") }

// environ is the environment that devstack made.
func environ() []string { return os.Environ() }
