CREATE TRIGGER {table}_state_begins BEFORE INSERT ON {table}
WHEN new.state NOT IN ({starts})
BEGIN
    SELECT raise(ABORT, '{table}: no row begins in this state');
END
;;
CREATE TRIGGER {table}_state_moves BEFORE UPDATE OF state ON {table}
WHEN old.state <> new.state AND old.state || ' -> ' || new.state NOT IN ({pairs})
BEGIN
    SELECT raise(ABORT, '{table}: this move is not in the table of states');
END
