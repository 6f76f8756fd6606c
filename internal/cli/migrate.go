package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ordersaga/ordersaga/internal/service"
)

// migrateCommand is for deployments that create everything once, before they start processes.
func migrateCommand() *cobra.Command {
	return &cobra.Command{
		Use: "migrate", Short: "Create what the roles need in MongoDB, Temporal and RabbitMQ, and exit", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return with(cmd, service.NewLogger, service.Parts{Temporal: true, Broker: true}, func(ctx context.Context, s *service.Service) error {
				if err := s.Migrate(ctx); err != nil {
					return err
				}
				fmt.Fprintln(cmd.OutOrStdout(), "indexes, search attributes, exchanges and queues exist")
				return nil
			})
		},
	}
}
