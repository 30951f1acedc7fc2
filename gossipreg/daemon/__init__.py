"""The sidecar as a process: trio, sockets, the clock, the disk and health checks around the core.

Start, run and end:

    main            opened, composed and run
    settings        what the user chose;  in_force: the options in force, for `config`
    start           everything that is opened, in the order in which it may fail
    sidecar         the parts, made and joined around the node
    running         the tasks from the first line to the last;  first_lines: what the start says
    reactions       what follows from the core's events and changes
    ending          how it leaves;  notify: what systemd is told
    finishing       the last writes to the disk, and an end that waits for no thread
    reload          keys, files and options, read again
    memory          what goes back to the system;  clock: seconds since boot
    lean_trio       trio without the parts that a plain sidecar never uses

The core and the network:

    pump            whatever calls the node;  turns_in_wait: its turns, inside trio's wait for input
    udp             the sockets of gossip;  gossip_sockets: they and those of streams, on one port
    addresses       the rules for --bind, --advertise and clear text
    own_addresses   the addresses that are announced;  interfaces: those that the machine has
    seeds           from what the user wrote to addresses;  seed_greeter: when they are greeted
    keys            the cluster's keys;  key_agreement: whether every member opens ours
    mesh_keys       what the CA of the mesh is made of
    orchestration   when journals and streams are loaded, and what our row says of this machine
    orchestration_modules  what of them is loaded then
    events_and_sagas  what stands on the journals: events/ for programs here, and sagas/
    part_timers     when what stands on them is due
    streams/        streams to other members over TCP; loaded only when used
    gateways        runs DNS, HTTP and xDS beside the rest;  gateway_calls: the local socket's methods for them

The local socket:

    local_socket    who is connected;  places: who may be;  connection: one client;  outgoing: the messages to it
    all_clients     the bytes that all clients make the sidecar keep
    rpc_speaker     requests in MessagePack-RPC;  http_speaker: requests over HTTP;  json_form: JSON for them
    request_trace   the trace of a request over HTTP
    socket_client   a client, and the form of a method;  client_calls: the calls and watches of one client
    methods         the methods by name;  params: their parameters, checked
    lookups         instances of services;  choosing: some of them;  kept_answers: each encoded once a change
    partial         answers while the table is not known
    member_figures  how this sidecar is, in a few figures for other members;  asked_member: theirs
    info            how this sidecar is;  pieces: looking at every member without delay for others
    watches         the notifications of changes;  sidecar_state: what this sidecar knows, for those who keep answers
    row_acks        waiting for all members' acks;  maintenance_methods: maint and drain
    force_leave     declaring dead members left

The services registered here:

    services        requests: who may do what, and where a service comes from
    registrar       a service taken in, changed, taken out;  entries: each as it is now
    service_start   what is registered at the start;  services_file: --services;  file_services: follows that file
    admission       what may be registered;  announced: what stands in our row
    maintenance     what an operator has taken out of the answers
    checks/         runs checks
    service_health  the health that is announced;  node_checks: the checks of the whole sidecar
    known_health    the health of checks over a restart;  health_report: what is shown of checks
    aliases         checks that take over another health;  names: host names in checks
    deliveries/     events for services that take them over HTTP

What is kept:

    keeping         what is kept, and what comes back
    data_directory  the lock, reads and writes;  database_file: the tables
    kept            what is kept of services and checks;  service_records: when it is written
    store           the queue of writes
    identity        keys, id and generation
    kept_table      the last known table
    journals_file   whether there are journals, and the note to forget them
    journals/       the logs of journals, in a database of their own

What people read:

    logs            lines on stderr;  log_events: the core's events in words
    troubles        what goes wrong now, for `info`;  reports: lasting conditions in both
    traces          the spans of this sidecar, and what becomes of them
    lossy_pairs     loss between two members, in words;  narrow_paths: paths for small datagrams only
    audit           the last operations
    history/        what happened, a line each, kept for days
"""
