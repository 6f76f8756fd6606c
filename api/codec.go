package api

import (
	"net/http"

	"github.com/labstack/echo/v4"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/ordersaga/ordersaga/internal/auth"
	"github.com/ordersaga/ordersaga/internal/fault"
)

const (
	// codecRequestHeaders are what the Temporal Web UI sends.
	codecRequestHeaders = "Authorization, Content-Type, X-Namespace"
	// codecMaxBody is the most bytes of a request to a codec server: Temporal stores payloads of at most 2 MiB, and their bytes are in base64 here.
	codecMaxBody = 4 << 20
)

// NewCodec returns a Server that is a remote codec for the Temporal Web UI and CLI: POST /decode decrypts payloads, POST /encode encrypts them, for
// callers with the scope operate. It serves no other part of the API. Of the Config only Ready is mandatory, and nothing that is about orders is used.
// It does no I/O.
func NewCodec(c Config, codec converter.PayloadCodec) (*Server, error) {
	if c.MaxBody == 0 {
		c.MaxBody = codecMaxBody
	}
	c.setDefaults()
	s := &Server{cfg: c, corsHeaders: codecRequestHeaders}
	err := s.serve([]route{
		{http.MethodPost, "/decode", auth.Operate, none, s.recode(codec.Decode)},
		{http.MethodPost, "/encode", auth.Operate, none, s.recode(codec.Encode)},

		{http.MethodGet, "/livez", auth.Public, none, s.probe},
		{http.MethodGet, "/readyz", auth.Public, none, s.probe},
		{http.MethodGet, "/metrics", auth.Public, none, s.probe},
	})
	return s, err
}

// recode answers with what convert makes of the payloads in the body. Both are JSON of temporal.api.common.v1.Payloads, the protocol of
// converter.NewRemotePayloadCodec; errors are problems.
func (s *Server) recode(convert func([]*commonpb.Payload) ([]*commonpb.Payload, error)) echo.HandlerFunc {
	return func(c echo.Context) error {
		body, err := s.readBody(c)
		if err != nil {
			return err
		}
		var payloads commonpb.Payloads
		if protojson.Unmarshal(body, &payloads) != nil {
			return fault.New(fault.Malformed, "the body must be JSON of payloads, as the Temporal Web UI and CLI send it")
		}
		if payloads.Payloads, err = convert(payloads.GetPayloads()); err != nil {
			// The caller sent what cannot be decrypted: it is no failure of this process.
			return fault.New(fault.Invalid, "a payload cannot be decrypted: %s", fault.SafeMessage(err))
		}
		answer, err := protojson.Marshal(&payloads)
		if err != nil {
			return fault.Wrap(err, fault.Internal, "write payloads")
		}
		return c.JSONBlob(http.StatusOK, answer)
	}
}
