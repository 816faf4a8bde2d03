package main

import (
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// failure is what a failed call says: the error details that travel in its trailers (docs/errors.md).
type failure struct {
	code codes.Code
	// A code of docs/errors.md; empty when it was not Millrace that said it (a broken connection, a proxy).
	reason string
	// The facts needed to act, such as the offsets there are.
	metadata map[string]string
	// How long the broker asks to wait; 0 when it does not say.
	retryAfter time.Duration
}

func failureOf(err error) failure {
	said := status.Convert(err)
	f := failure{code: said.Code()}
	for _, detail := range said.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			if detail.GetDomain() == "millrace" {
				f.reason, f.metadata = detail.GetReason(), detail.GetMetadata()
			}
		case *errdetails.RetryInfo:
			f.retryAfter = detail.GetRetryDelay().AsDuration()
		}
	}
	return f
}

// again tells whether sending the same request again may succeed.
func (f failure) again() bool {
	switch f.code {
	case codes.Unavailable, codes.Unknown, codes.Internal, codes.DeadlineExceeded, codes.ResourceExhausted, codes.Aborted:
		return true
	}
	return false
}

// outcomeKnown tells that nothing was written. Otherwise it may have been, or not.
func (f failure) outcomeKnown() bool {
	switch f.code {
	case codes.Unknown, codes.DeadlineExceeded, codes.Canceled:
		return false
	}
	return f.reason != ""
}
