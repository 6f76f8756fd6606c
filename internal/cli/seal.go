package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ordersaga/ordersaga/internal/service"
)

func sealCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "seal", Short: "Replace the master key of sealed data"}
	cmd.AddCommand(&cobra.Command{
		Use: "rotate-master", Args: cobra.NoArgs,
		Short: "Wrap the keys of all sealed data with the first key of SEAL_MASTER_KEY; repeat it after an interruption",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return with(cmd, quietLogger(cmd), service.Parts{}, func(ctx context.Context, s *service.Service) error {
				return s.RotateMaster(ctx, func(of string, wrapped, current, gone int) {
					fmt.Fprintf(cmd.OutOrStdout(), "%s: %d keys wrapped, %d were already, %d deleted meanwhile\n", of, wrapped, current, gone)
				})
			})
		},
	})
	return cmd
}
