// Package config declares the part of the AWS SDK's configuration that the Temporal server uses. No configuration can be loaded.
package config

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
)

var errNone = errors.New("devstack has no configuration of AWS")

// EnvConfig is the configuration in environment variables.
type EnvConfig struct{ Credentials aws.Credentials }

// LoadOptions are options of LoadDefaultConfig.
type LoadOptions struct{}

func LoadDefaultConfig(context.Context, ...func(*LoadOptions) error) (aws.Config, error) {
	return aws.Config{}, errNone
}

func NewEnvConfig() (EnvConfig, error) { return EnvConfig{}, errNone }

func WithClientLogMode(aws.ClientLogMode) func(*LoadOptions) error { return nil }

func WithRegion(string) func(*LoadOptions) error { return nil }
