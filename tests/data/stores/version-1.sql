-- A session store of version 1, from before tunnels were opened and versions were kept, with rows; made by the program
-- of that time (SHOW CREATE TABLE, FORMAT SQLInsert). Statements end with a semicolon at the end of a line.

CREATE TABLE batches
(
    `stream` FixedString(16),
    `seq` UInt64,
    `sensor` UInt16,
    `stored` UInt64,
    `quarantined` UInt64,
    `newest` DateTime64(6, 'UTC'),
    `ingest_time` DateTime64(6, 'UTC')
)
ENGINE = ReplacingMergeTree(ingest_time)
ORDER BY (stream, seq)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, index_granularity = 8192;

INSERT INTO batches (`stream`, `seq`, `sensor`, `stored`, `quarantined`, `newest`, `ingest_time`) VALUES ('old-stream-00001', 0, 1, 3, 0, '2004-07-27 03:46:40.000000', '2026-09-21 14:13:20.100000'), ('old-stream-00001', 1, 1, 2, 1, '2004-07-28 07:33:20.000000', '2026-09-21 14:13:20.100000');

CREATE TABLE observed
(
    `sensor` UInt16,
    `start` DateTime64(6, 'UTC'),
    `end` DateTime64(6, 'UTC'),
    `kind` LowCardinality(String),
    `what` String,
    `packets` UInt64,
    `lost` UInt64,
    `note` String,
    `stream` FixedString(16),
    `seq` UInt64,
    `item` UInt16,
    `ingest_time` DateTime64(6, 'UTC')
)
ENGINE = ReplacingMergeTree(ingest_time)
ORDER BY (sensor, start, stream, seq, item)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, index_granularity = 8192;

INSERT INTO observed (`sensor`, `start`, `end`, `kind`, `what`, `packets`, `lost`, `note`, `stream`, `seq`, `item`, `ingest_time`) VALUES (1, '2004-07-26 00:00:00.000000', '2004-07-27 20:26:40.000000', 'files', 'a.pcap', 600, 2, '', 'old-stream-00001', 0, 0, '2026-09-21 14:13:20.000000');

CREATE TABLE sessions
(
    `start_time` DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    `end_time` DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    `sensor` UInt16 CODEC(ZSTD(1)),
    `session_id` UInt64 CODEC(ZSTD(1)),
    `revision` UInt64 CODEC(T64, ZSTD(1)),
    `proto` UInt8 CODEC(ZSTD(1)),
    `src_ip` IPv6 CODEC(ZSTD(1)),
    `src_port` UInt16 CODEC(T64, ZSTD(1)),
    `dst_ip` IPv6 CODEC(ZSTD(1)),
    `dst_port` UInt16 CODEC(T64, ZSTD(1)),
    `src_pkts` UInt64 CODEC(T64, ZSTD(1)),
    `dst_pkts` UInt64 CODEC(T64, ZSTD(1)),
    `src_bytes` UInt64 CODEC(T64, ZSTD(1)),
    `dst_bytes` UInt64 CODEC(T64, ZSTD(1)),
    `src_flags` UInt8 CODEC(ZSTD(1)),
    `dst_flags` UInt8 CODEC(ZSTD(1)),
    `state` UInt8 CODEC(ZSTD(1)),
    `outcome` UInt8 CODEC(ZSTD(1)),
    `history` FixedString(24) CODEC(ZSTD(1)),
    `icmp_type` UInt8 CODEC(ZSTD(1)),
    `icmp_code` UInt8 CODEC(ZSTD(1)),
    `icmp_id` UInt16 CODEC(T64, ZSTD(1)),
    `vlan` UInt16 CODEC(ZSTD(1)),
    `inner_vlan` UInt16 CODEC(ZSTD(1)),
    `src_ip_bytes` UInt64 CODEC(T64, ZSTD(1)),
    `dst_ip_bytes` UInt64 CODEC(T64, ZSTD(1)),
    `src_retrans_bytes` UInt64 CODEC(T64, ZSTD(1)),
    `dst_retrans_bytes` UInt64 CODEC(T64, ZSTD(1)),
    `syn_retries` UInt16 CODEC(T64, ZSTD(1)),
    `direction_by` UInt8 CODEC(ZSTD(1)),
    `end_reason` UInt8 CODEC(ZSTD(1)),
    `marks` UInt32 CODEC(T64, ZSTD(1)),
    `error_count` UInt32 CODEC(T64, ZSTD(1)),
    `error_type` UInt8 CODEC(ZSTD(1)),
    `error_code` UInt8 CODEC(ZSTD(1)),
    `error_ip` IPv6 CODEC(ZSTD(1)),
    `source` UInt8 CODEC(ZSTD(1)),
    `absent` UInt64 CODEC(ZSTD(1)),
    `ingest_time` DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    `stream` FixedString(16) CODEC(ZSTD(1)),
    `seq` UInt64 CODEC(Delta(8), ZSTD(1)),
    INDEX src_ip_bloom src_ip TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX dst_ip_bloom dst_ip TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX src_port_bloom src_port TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX dst_port_bloom dst_port TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree(revision)
PARTITION BY toInt32(intDiv(toUnixTimestamp64Micro(start_time), 86400000000))
ORDER BY (start_time, sensor, session_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_age_to_force_merge_seconds = 3600, min_age_to_force_merge_on_partition_only = 1, index_granularity = 8192;

INSERT INTO sessions (`start_time`, `end_time`, `sensor`, `session_id`, `revision`, `proto`, `src_ip`, `src_port`, `dst_ip`, `dst_port`, `src_pkts`, `dst_pkts`, `src_bytes`, `dst_bytes`, `src_flags`, `dst_flags`, `state`, `outcome`, `history`, `icmp_type`, `icmp_code`, `icmp_id`, `vlan`, `inner_vlan`, `src_ip_bytes`, `dst_ip_bytes`, `src_retrans_bytes`, `dst_retrans_bytes`, `syn_retries`, `direction_by`, `end_reason`, `marks`, `error_count`, `error_type`, `error_code`, `error_ip`, `source`, `absent`, `ingest_time`, `stream`, `seq`) VALUES ('2004-07-26 00:00:00.000000', '2004-07-26 00:00:05.000000', 1, 5765488047046174021, 3, 6, '::ffff:232.2.127.209', 1034, '::ffff:113.10.36.131', 1034, 70, 72, 84508, 66369, 0, 0, 0, 6, 'ShADadFf\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '::', 0, 0, '2026-09-21 14:13:20.000000', 'old-stream-00001', 0), ('2004-07-26 11:06:40.000000', '2004-07-26 11:06:45.000000', 1, 8275336682942969162, 9, 6, '::ffff:34.203.31.119', 80, '::ffff:247.119.206.233', 80, 62, 37, 16022, 15446, 0, 0, 0, 1, 'S\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '::', 0, 4194304, '2026-09-21 14:13:20.000000', 'old-stream-00001', 0), ('2004-07-26 22:13:20.000000', '2004-07-26 22:13:25.000000', 2, 7154437704795913393, 3, 17, '::ffff:208.77.87.71', 53, '::ffff:210.160.113.131', 53, 34, 49, 85745, 53380, 0, 0, 0, 6, 'Dd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '::', 0, 0, '2026-09-21 14:13:20.000000', 'old-stream-00001', 0), ('2004-07-27 09:20:00.000000', '2004-07-27 09:20:05.000000', 2, 2077169698657866657, 5, 1, '::ffff:183.65.252.114', 0, '::ffff:68.127.97.63', 0, 98, 1, 61254, 26760, 0, 0, 0, 1, 'D\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '::', 0, 640, '2026-09-21 14:13:20.000000', 'old-stream-00001', 1), ('2004-07-27 20:26:40.000000', '2004-07-27 20:26:45.000000', 1, 2768545318656780451, 7, 6, '::ffff:122.129.148.141', 443, '::ffff:253.3.25.49', 443, 47, 62, 11472, 96489, 0, 0, 0, 4, 'ShA\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '::', 0, 0, '2026-09-21 14:13:20.000000', 'old-stream-00001', 1);

CREATE TABLE sessions_quarantine
(
    `start_time` DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    `end_time` DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    `sensor` UInt16 CODEC(ZSTD(1)),
    `session_id` UInt64 CODEC(ZSTD(1)),
    `revision` UInt64 CODEC(T64, ZSTD(1)),
    `proto` UInt8 CODEC(ZSTD(1)),
    `src_ip` IPv6 CODEC(ZSTD(1)),
    `src_port` UInt16 CODEC(T64, ZSTD(1)),
    `dst_ip` IPv6 CODEC(ZSTD(1)),
    `dst_port` UInt16 CODEC(T64, ZSTD(1)),
    `src_pkts` UInt64 CODEC(T64, ZSTD(1)),
    `dst_pkts` UInt64 CODEC(T64, ZSTD(1)),
    `src_bytes` UInt64 CODEC(T64, ZSTD(1)),
    `dst_bytes` UInt64 CODEC(T64, ZSTD(1)),
    `src_flags` UInt8 CODEC(ZSTD(1)),
    `dst_flags` UInt8 CODEC(ZSTD(1)),
    `state` UInt8 CODEC(ZSTD(1)),
    `outcome` UInt8 CODEC(ZSTD(1)),
    `history` FixedString(24) CODEC(ZSTD(1)),
    `icmp_type` UInt8 CODEC(ZSTD(1)),
    `icmp_code` UInt8 CODEC(ZSTD(1)),
    `icmp_id` UInt16 CODEC(T64, ZSTD(1)),
    `vlan` UInt16 CODEC(ZSTD(1)),
    `inner_vlan` UInt16 CODEC(ZSTD(1)),
    `src_ip_bytes` UInt64 CODEC(T64, ZSTD(1)),
    `dst_ip_bytes` UInt64 CODEC(T64, ZSTD(1)),
    `src_retrans_bytes` UInt64 CODEC(T64, ZSTD(1)),
    `dst_retrans_bytes` UInt64 CODEC(T64, ZSTD(1)),
    `syn_retries` UInt16 CODEC(T64, ZSTD(1)),
    `direction_by` UInt8 CODEC(ZSTD(1)),
    `end_reason` UInt8 CODEC(ZSTD(1)),
    `marks` UInt32 CODEC(T64, ZSTD(1)),
    `error_count` UInt32 CODEC(T64, ZSTD(1)),
    `error_type` UInt8 CODEC(ZSTD(1)),
    `error_code` UInt8 CODEC(ZSTD(1)),
    `error_ip` IPv6 CODEC(ZSTD(1)),
    `source` UInt8 CODEC(ZSTD(1)),
    `absent` UInt64 CODEC(ZSTD(1)),
    `ingest_time` DateTime64(6, 'UTC') CODEC(Delta(8), ZSTD(1)),
    `stream` FixedString(16) CODEC(ZSTD(1)),
    `seq` UInt64 CODEC(Delta(8), ZSTD(1))
)
ENGINE = ReplacingMergeTree(revision)
PARTITION BY toInt32(intDiv(toUnixTimestamp64Micro(ingest_time), 86400000000))
ORDER BY (start_time, sensor, session_id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, min_age_to_force_merge_seconds = 3600, min_age_to_force_merge_on_partition_only = 1, index_granularity = 8192;

INSERT INTO sessions_quarantine (`start_time`, `end_time`, `sensor`, `session_id`, `revision`, `proto`, `src_ip`, `src_port`, `dst_ip`, `dst_port`, `src_pkts`, `dst_pkts`, `src_bytes`, `dst_bytes`, `src_flags`, `dst_flags`, `state`, `outcome`, `history`, `icmp_type`, `icmp_code`, `icmp_id`, `vlan`, `inner_vlan`, `src_ip_bytes`, `dst_ip_bytes`, `src_retrans_bytes`, `dst_retrans_bytes`, `syn_retries`, `direction_by`, `end_reason`, `marks`, `error_count`, `error_type`, `error_code`, `error_ip`, `source`, `absent`, `ingest_time`, `stream`, `seq`) VALUES ('2004-07-28 07:33:20.000000', '2004-07-28 07:33:25.000000', 2, 8057108420966028186, 3, 17, '::ffff:130.253.206.202', 123, '::ffff:247.176.224.51', 123, 22, 83, 4395, 88033, 0, 0, 0, 5, 'D\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '::', 0, 0, '2026-09-21 14:13:20.000000', 'old-stream-00001', 1);

CREATE TABLE store
(
    `id` FixedString(16)
)
ENGINE = MergeTree
ORDER BY id
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, index_granularity = 8192;

INSERT INTO store (`id`) VALUES ('old-store-id-001');

CREATE TABLE streams
(
    `stream` FixedString(16),
    `sensor` UInt16,
    `kind` LowCardinality(String),
    `content` String,
    `meter` String,
    `changed` DateTime64(6, 'UTC'),
    `replaced` UInt8
)
ENGINE = ReplacingMergeTree(changed)
ORDER BY stream
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, index_granularity = 8192;

INSERT INTO streams (`stream`, `sensor`, `kind`, `content`, `meter`, `changed`, `replaced`) VALUES ('old-stream-00001', 1, 'files', 'cccccccccccccccccccccccccccccccc', 'meter 1', '2026-09-21 14:13:19.000000', 0);
