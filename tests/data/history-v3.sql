-- A history as version 3 of its format was written: the tables and the events are of a
-- guard of that version, what it learned is in the forms it had.
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA journal_mode = WAL;
BEGIN;
CREATE TABLE choices (
        component TEXT PRIMARY KEY,
        pinned INTEGER,
        priority TEXT
    ) WITHOUT ROWID;
CREATE TABLE debts (
        component TEXT NOT NULL,
        undo TEXT NOT NULL,
        target TEXT NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (component, undo, target)
    ) WITHOUT ROWID;
CREATE TABLE details (
        seq INTEGER PRIMARY KEY,
        digest TEXT NOT NULL UNIQUE,
        body TEXT NOT NULL
    );
CREATE TABLE events (
        seq INTEGER PRIMARY KEY,
        time_ms INTEGER NOT NULL,
        kind TEXT NOT NULL,
        -- The number of the action that this starts or ends.
        action INTEGER,
        body TEXT NOT NULL
    );
CREATE TABLE forecasts (
        made_ms INTEGER NOT NULL,
        level TEXT NOT NULL,
        signal TEXT NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (made_ms, level, signal)
    );
CREATE TABLE highest (seq INTEGER NOT NULL, action INTEGER NOT NULL);
CREATE TABLE loads (
        digest TEXT NOT NULL,
        context INTEGER NOT NULL,
        parallel INTEGER NOT NULL,
        kv_type TEXT NOT NULL,
        placement TEXT NOT NULL,
        version TEXT NOT NULL,
        loaded_ms INTEGER NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (digest, context, parallel, kv_type, placement, version, loaded_ms)
    );
CREATE INDEX events_by_time ON events (time_ms);
CREATE INDEX events_by_action ON events (action) WHERE action IS NOT NULL;
CREATE INDEX loads_by_time ON loads (loaded_ms);
INSERT INTO events VALUES (1, 1768485732000, 'note', NULL, '{"seq":1,"time":"2026-01-15T14:02:12Z","body":{"kind":"started","version":"0.1.0"}}');
INSERT INTO events VALUES (2, 1768485733000, 'runtime', NULL, '{"seq":2,"time":"2026-01-15T14:02:13Z","body":{"kind":"runtime_down","url":"http://127.0.0.1:11434","reason":"nobody listens at http://127.0.0.1:11434: start it with `ollama serve`"}}');
INSERT INTO events VALUES (3, 1768485734000, 'level', NULL, '{"seq":3,"time":"2026-01-15T14:02:14Z","body":{"kind":"level_changed","from":"normal","to":"warning","cause":{"signal":"memory","text":"memory 81 %"},"lasted_ms":180000}}');
INSERT INTO highest VALUES (3, 0);
INSERT INTO choices VALUES ('model:qwen2.5:3b', 1, NULL);
INSERT INTO debts VALUES ('process:backup', 'resume', '{"target":"process","key":{"pid":77,"started":7700}}', '{"component":"process:backup","name":"backup","target":{"target":"process","key":{"pid":77,"started":7700}},"undo":{"deed":"resume"}}');
INSERT INTO loads VALUES ('3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f', 4096, 1, 'f16', 'cpu', '0.30.1', 1768485600000, '{"key":{"digest":"3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f","context":4096,"parallel":1,"kv_type":"f16","placement":"cpu","version":"0.30.1"},"model":"qwen2.5:3b","loaded":"2026-01-15T14:00:00Z","estimated_reported":2202009600,"estimated":2306867200,"expected":null,"reported":2212495360,"measured":2359296000,"peak":2411724800,"was_used":true}');
INSERT INTO forecasts VALUES (1768482000000, 'warning', 'memory', '{"made":"2026-01-15T13:00:00Z","to":"warning","signal":"memory","soonest_ms":120000,"latest_ms":240000,"window_ms":120000,"rate":5250000.0,"outcome":"hit","after_ms":150000}');
INSERT INTO details VALUES (1, '3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f', '{"blob":null,"architecture":"qwen2","capabilities":[],"max_context":32768,"is_cloud":false,"shape":null,"own_context":null}');
PRAGMA user_version = 3;
COMMIT;
