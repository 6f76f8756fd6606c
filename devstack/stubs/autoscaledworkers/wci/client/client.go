// Package client has no worker controllers: it finds none, and creates none.
package client

import (
	"context"

	deploymentpb "go.temporal.io/api/deployment/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/auto-scaled-workers/wci/workflow/iface"
	"go.temporal.io/server/common/namespace"
	"go.uber.org/fx"
)

// Module provides a Client.
var Module = fx.Options(fx.Provide(func() Client { return none{} }))

// Client is what the Temporal server calls.
type Client interface {
	DescribeWorkerControllerInstance(context.Context, *namespace.Namespace, *deploymentpb.WorkerDeploymentVersion) (*iface.QueryDescribeWorkerControllerInstanceResponse, []byte, error)
	UpdateWorkerControllerInstance(ctx context.Context, n *namespace.Namespace, v *deploymentpb.WorkerDeploymentVersion, conflictToken []byte, identity string, upserts map[string]iface.ScalingGroupSpecUpdate, removals []string) (*iface.UpdateWorkerControllerInstanceResponse, error)
	ValidateWorkerControllerInstanceSpec(ctx context.Context, n *namespace.Namespace, v *deploymentpb.WorkerDeploymentVersion, identity string, upserts map[string]iface.ScalingGroupSpecUpdate, removals []string) error
	DeleteWorkerControllerInstance(ctx context.Context, n *namespace.Namespace, v *deploymentpb.WorkerDeploymentVersion, identity string) error
}

var errNone = serviceerror.NewUnimplemented("devstack has no auto-scaled workers")

type none struct{}

func (none) DescribeWorkerControllerInstance(context.Context, *namespace.Namespace, *deploymentpb.WorkerDeploymentVersion) (*iface.QueryDescribeWorkerControllerInstanceResponse, []byte, error) {
	return nil, nil, serviceerror.NewNotFound("devstack has no auto-scaled workers")
}

func (none) UpdateWorkerControllerInstance(context.Context, *namespace.Namespace, *deploymentpb.WorkerDeploymentVersion, []byte, string, map[string]iface.ScalingGroupSpecUpdate, []string) (*iface.UpdateWorkerControllerInstanceResponse, error) {
	return nil, errNone
}

func (none) ValidateWorkerControllerInstanceSpec(context.Context, *namespace.Namespace, *deploymentpb.WorkerDeploymentVersion, string, map[string]iface.ScalingGroupSpecUpdate, []string) error {
	return errNone
}

func (none) DeleteWorkerControllerInstance(context.Context, *namespace.Namespace, *deploymentpb.WorkerDeploymentVersion, string) error {
	return nil
}
