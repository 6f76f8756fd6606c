package main

const help = `devstack runs what ordersaga needs on this machine: Temporal with its Web UI, a
MongoDB wire server and a private RabbitMQ node. Everything listens on loopback
and ends with devstack, even if it is killed.

  devstack up [flags] [-- CMD …]     on the default ports, the next free one when
                                     taken; state survives in .devstack/; with CMD
                                     it ends when CMD ends, else with Ctrl-C
  devstack exec [flags] -- CMD …     on free ports, with temporary state; its exit
                                     code is CMD's, or 128 + the signal's number
  devstack kill|stop|start COMPONENT [--home DIR]
                                     acts on temporal, ui, mongodb or rabbitmq, and
                                     returns when it is gone or ready; same port,
                                     same data; from CMD, or beside a devstack up
  devstack env [--home DIR]          the environment of a running devstack up, for
                                     eval "$(devstack env)"
  devstack help

Flags of up and exec:
  --only COMPONENTS   start only these, separated by commas (or DEVSTACK_ONLY)
  --rabbitmq PATH     another RabbitMQ than the machine's own (or DEVSTACK_RABBITMQ): the
                      script rabbitmq-server, its folder, an installation with
                      sbin/rabbitmq-server, or, as root on Linux, the root folder of
                      another system that has one (debootstrap, a container's files)
  --erlang DIR        the folder of its erl (or DEVSTACK_ERLANG), where the PATH has
                      none that fits
  --drain DURATION    how long CMD may take to end after SIGINT, SIGTERM or SIGHUP,
                      which are passed on to its process group once (default 1m)
  --home DIR          up: folder for state and logs (or DEVSTACK_HOME; .devstack)
  --keep              exec: keep the temporary state

CMD is given:
  TEMPORAL_ADDRESS TEMPORAL_NAMESPACE TEMPORAL_CONFIG_FILE (an empty file)
  TEMPORAL_UI_URL MONGODB_URI MONGODB_DATABASE AMQP_URL RABBITMQ_MANAGEMENT_URL
  HTTP_ADDR DEVSTACK=1 DEVSTACK_BIN DEVSTACK_CONTROL
Variables of the same families that were set before are removed.

Servers of your own, instead of starting some:
  DEVSTACK_EXTERNAL=mongodb,temporal,rabbitmq with MONGODB_URI, TEMPORAL_ADDRESS,
  AMQP_URL; ui with TEMPORAL_UI_URL
A temporal (the CLI) or mongod on the PATH is used instead of the embedded server.
RabbitMQ is found where packages put it; as root, apt-get installs it if missing.
`
