"""What must hold under attack, fault and load: a row is a test, a case is one of its tries."""
