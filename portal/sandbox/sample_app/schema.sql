-- The guest book's tables, owned by the app's own role. Applied once, by deploy.py; the app never changes them.

CREATE SEQUENCE entry_number START WITH 1001;

CREATE TABLE authors (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name          text NOT NULL CHECK (length(name) BETWEEN 1 AND 80),
    entries_count bigint NOT NULL DEFAULT 1,
    last_seen     timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX authors_name ON authors (lower(name));

CREATE TABLE entries (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    number     bigint NOT NULL UNIQUE DEFAULT nextval('entry_number'),
    author_id  bigint NOT NULL REFERENCES authors,
    key        text NOT NULL,
    message    text NOT NULL CHECK (length(message) BETWEEN 1 AND 2000),
    details    jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX entries_key ON entries (key);  -- not unique on purpose: a write applied twice must show as two rows
CREATE INDEX entries_author ON entries (author_id);
CREATE INDEX entries_region ON entries ((details ->> 'region'));

CREATE TABLE entry_pictures (
    entry_id     bigint NOT NULL REFERENCES entries ON DELETE CASCADE,
    name         text NOT NULL,
    content_type text NOT NULL,
    size_bytes   integer NOT NULL CHECK (size_bytes > 0),
    PRIMARY KEY (entry_id, name)
);
CREATE INDEX entry_pictures_name ON entry_pictures (name);

COMMENT ON COLUMN entries.number IS 'What people quote: "entry no. 1001". From a sequence no column owns.';
COMMENT ON COLUMN entries.key IS 'Chosen by the client, to find its write again.';
