// Package payloads encrypts what Temporal stores: inputs and results, signals, Updates, memos, summaries, and the texts of failures. It makes the
// data converter of every client and worker, and of everything that reads histories.
//
// It may import the Temporal SDK, internal/keyset and internal/fault.
//
// # Contract
//
// Concurrency: everything is safe for concurrent use.
//
// Payloads that are not encrypted are read as they are, with and without keys. A payload that cannot be decrypted is an error of internal/keyset
// for clients, activities and readers of histories. In a workflow task it is a panic, which fails the task and not the workflow: the SDK would
// drop a signal, and fail a workflow, whose payload gives an error.
package payloads

import (
	"context"
	"errors"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
	"google.golang.org/protobuf/proto"

	"github.com/ordersaga/ordersaga/internal/fault"
	"github.com/ordersaga/ordersaga/internal/keyset"
)

const (
	// encoding and metadataKeyID are in the metadata of encrypted payloads. Histories have them: they are never renamed.
	encoding      = "binary/encrypted"
	metadataKeyID = "encryption-key-id"
	// purpose is authenticated.
	purpose = "ordersaga/payload/v1\n" + encoding
)

// Codec encrypts and decrypts payloads.
type Codec struct{ keys keyset.Set }

var _ converter.PayloadCodec = Codec{}

// NewCodec returns a codec. Without an active key it encrypts nothing, and decrypts what the keys have encrypted.
func NewCodec(keys keyset.Set) Codec { return Codec{keys} }

// Encode implements converter.PayloadCodec.
func (c Codec) Encode(plain []*commonpb.Payload) ([]*commonpb.Payload, error) {
	if c.keys.Active() == "" {
		return plain, nil
	}
	encrypted := make([]*commonpb.Payload, len(plain))
	for i, p := range plain {
		raw, err := proto.Marshal(p)
		if err != nil {
			return nil, fault.Wrap(err, fault.Internal, "encrypt a payload")
		}
		id, text := c.keys.Seal(purpose, raw)
		encrypted[i] = &commonpb.Payload{
			Metadata: map[string][]byte{converter.MetadataEncoding: []byte(encoding), metadataKeyID: []byte(id)}, Data: text,
		}
	}
	return encrypted, nil
}

// Decode implements converter.PayloadCodec.
func (c Codec) Decode(stored []*commonpb.Payload) ([]*commonpb.Payload, error) {
	plain := make([]*commonpb.Payload, len(stored))
	for i, p := range stored {
		if string(p.GetMetadata()[converter.MetadataEncoding]) != encoding {
			plain[i] = p
			continue
		}
		raw, err := c.keys.Open(purpose, string(p.GetMetadata()[metadataKeyID]), p.GetData())
		if err != nil {
			return nil, &undecryptableError{err}
		}
		plain[i] = &commonpb.Payload{}
		if err := proto.Unmarshal(raw, plain[i]); err != nil {
			return nil, &undecryptableError{fault.New(fault.Corrupt, "a decrypted payload cannot be read")}
		}
	}
	return plain, nil
}

// undecryptableError says why a payload cannot be decrypted.
type undecryptableError struct{ error }

// Unwrap returns the error of internal/keyset.
func (e *undecryptableError) Unwrap() error { return e.error }

// Converter is the data converter of what reads histories: it returns errors.
func Converter(keys keyset.Set) converter.DataConverter {
	return converter.NewCodecDataConverter(converter.GetDefaultDataConverter(), NewCodec(keys))
}

// Configure sets the data converter and the failure converter of a client and its workers.
func Configure(o *client.Options, keys keyset.Set) {
	o.DataConverter = taskConverter{Converter(keys)}
	o.FailureConverter = temporal.NewDefaultFailureConverter(temporal.DefaultFailureConverterOptions{
		DataConverter: o.DataConverter, EncodeCommonAttributes: keys.Active() != "",
	})
}

// taskConverter panics where a workflow task reads a payload that cannot be decrypted.
type taskConverter struct{ converter.DataConverter }

var _ workflow.ContextAware = taskConverter{}

// FromPayload implements converter.DataConverter.
func (c taskConverter) FromPayload(p *commonpb.Payload, into any) error {
	return panicUndecryptable(c.DataConverter.FromPayload(p, into))
}

// FromPayloads implements converter.DataConverter.
func (c taskConverter) FromPayloads(p *commonpb.Payloads, into ...any) error {
	return panicUndecryptable(c.DataConverter.FromPayloads(p, into...))
}

// WithWorkflowContext implements workflow.ContextAware.
func (c taskConverter) WithWorkflowContext(workflow.Context) converter.DataConverter { return c }

// WithContext implements workflow.ContextAware: it is for clients and activities.
func (c taskConverter) WithContext(context.Context) converter.DataConverter { return c.DataConverter }

func panicUndecryptable(err error) error {
	var undecryptable *undecryptableError
	if errors.As(err, &undecryptable) {
		panic(undecryptable)
	}
	return err
}

// Guard is for results that a client reads, for which the SDK uses the converter of workflow tasks: it returns the error.
func Guard(read func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			undecryptable, is := p.(*undecryptableError)
			if !is {
				panic(p)
			}
			err = undecryptable
		}
	}()
	return read()
}
