-- What to capture of a machine's disk instead of applying an image, as JSON;
-- NULL: nothing. A capture that succeeded uses it up.
ALTER TABLE machines ADD COLUMN capture TEXT;
